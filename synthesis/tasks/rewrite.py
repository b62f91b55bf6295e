"""Texts for a triplet whose own failed, from coarse to fine (CoLLM's refinement of benchmarks, arXiv 2503.19910).

The verifier takes the coarsest that passes: short texts are what people write, long ones what tells look-alikes apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthesis.config import TaskConfig
from synthesis.json_answers import json_object, object_schema, unquoted
from synthesis.page_text import plain
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import (
    LENGTHS,
    Ask,
    Candidate,
    NothingToAsk,
    OneStep,
    Output,
    Row,
    Unit,
    UnparsableError,
)
from synthesis.tasks.pair_texts import known_of


class Rewrite(OneStep):
    """Three texts for a triplet whose own failed (the row's `verdict`), as JSON, and as the fact `rewritten`, from
    coarse to fine. Where the row's `show_images` is true both images are shown; otherwise the model reads what is known
    of them."""

    name = "rewrite"
    unit: Unit = "triplet"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`passed` where no verifier says that the text fails (or gives another of the row's `rewrite_verdicts`);
        `text_missing` where nothing is known of the target, `nothing_new` where the same is known of both; neither
        where the images are shown."""
        if row.get("verdict") not in (row.get("rewrite_verdicts") or ("fail",)):
            return NothingToAsk("passed")
        shown = row.get("show_images") is True
        if not shown:
            query, target = (known_of(row, side) for side in ("query", "target"))
            if not any(target):
                return NothingToAsk("text_missing")
            if query == target:
                return NothingToAsk("nothing_new")
        # A demonstration has no images of its own to show.
        messages = self._prompt.render(row, () if shown else None, shown=shown)
        images = (row["query_image_id"], row["target_image_id"]) if shown else ()
        return Ask(self._prompt, messages, image_ids=images, schema=_SCHEMA)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The texts that are there, short before medium before fine; one that repeats a shorter one is left out."""
        data = _object(answers[0])
        texts: dict[str, Candidate] = {}
        for length in LENGTHS:
            value = data.get(length)
            text = unquoted(value) if isinstance(value, str) else ""
            if text:
                texts.setdefault(text.casefold(), Candidate(text, length=length))
        if not texts:
            raise UnparsableError(f"no texts: {plain(answers[0], 80)!r}")
        candidates = tuple(texts.values())
        return Output({"rewritten": [one.text for one in candidates]}, candidates)


def _object(answer: str) -> dict[str, Any]:
    """The object with all three texts, or else the first with one of them."""
    for keys in (LENGTHS, *((length,) for length in LENGTHS[:-1])):
        try:
            return json_object(answer, *keys)
        except UnparsableError:
            continue
    return json_object(answer, LENGTHS[-1])


_SCHEMA: dict[str, Any] = object_schema(
    {"reasoning": {"type": "string"}, **{length: {"type": "string"} for length in LENGTHS}}
)
