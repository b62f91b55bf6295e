"""Precise texts in three lengths with what they say of the parts of the query image, after FineCIR.

From captions; where a row's `show_images` is true, from captions and both images. Every text comes with its parse: what
of the query image is kept, what is added, removed and changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthesis.config import TaskConfig
from synthesis.json_answers import json_object, object_schema, texts_in
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
from synthesis.tasks.pair_texts import both_sides, candidates, said_of
from synthesis.words import one_line

_PARTS = ("keep", "add", "remove", "change")


class ModificationFine(OneStep):
    """One text in each of three lengths, as JSON, each with its parse."""

    name = "modification_fine"
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """Without images `text_missing` where nothing is said of one of them, `nothing_new` where the same is said of
        both."""
        shown = row.get("show_images") is True
        sides = {side: said_of(row, side) for side in ("query", "target")} if shown else both_sides(row)
        if isinstance(sides, NothingToAsk):
            return sides
        images = (row["query_image_id"], row["target_image_id"]) if shown else ()
        return Ask(self._prompt, self._prompt.render({**sides, "shown": shown}), images, _schema())

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The texts of the lengths that are there and whose parse can be read."""
        texts = tuple(found for length in LENGTHS if (found := _text(answers[0], length)) is not None)
        if not texts:
            raise UnparsableError(f"no text of any length with its parse: {one_line(answers[0])[:80]!r}")
        return Output(texts=texts)


def _text(answer: str, length: str) -> Candidate | None:
    try:
        return _candidate(json_object(answer, length)[length], length)
    except UnparsableError:
        return None  # Other lengths may be there.


def _candidate(item: Any, length: str) -> Candidate | None:
    """A text and its parse: lists of texts, of which some may lack or be null, but not all."""
    if not isinstance(item, dict):
        return None
    text = candidates(item)
    given = [value for part in _PARTS if (value := item.get(part)) is not None]
    if not text or not all(isinstance(value, list) and all(isinstance(one, str) for one in value) for value in given):
        return None
    keep, add, remove, change = (texts_in(item.get(part)) for part in _PARTS)
    if not (keep or add or remove or change):
        return None
    return Candidate(text[0].text, length=length, keep=keep, add=add, remove=remove, change=change)


def _schema() -> dict[str, Any]:
    # Small models fill an open list until their tokens end.
    listed = {"type": "array", "items": {"type": "string"}, "maxItems": 8}
    text = object_schema({"text": {"type": "string"}, **dict.fromkeys(_PARTS, listed)})
    return object_schema(dict.fromkeys(LENGTHS, text))
