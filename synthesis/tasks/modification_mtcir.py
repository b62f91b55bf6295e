"""Both directions in one answer from two captions, after MTCIR of CoLLM (arXiv 2503.19910).

The model sees captions only and writes as if it saw the images: a few texts of one sentence for each direction, each
with one of six categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthesis.config import TaskConfig
from synthesis.json_answers import json_object, object_schema
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import (
    CATEGORIES,
    Ask,
    Candidate,
    NothingToAsk,
    OneStep,
    Output,
    Row,
    Unit,
    UnparsableError,
)
from synthesis.tasks.pair_texts import both_sides, candidates
from synthesis.words import one_line

_DIRECTIONS = ("forward", "backward")


class ModificationMtcir(OneStep):
    """Short texts from the query to the target and back, as JSON."""

    name = "modification_mtcir"
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)
        self._texts = config.texts

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`text_missing` where nothing is said of one of the images, `nothing_new` where the same is said of both."""
        sides = both_sides(row)
        if isinstance(sides, NothingToAsk):
            return sides
        return Ask(self._prompt, self._prompt.render(sides, texts=self._texts), schema=_schema(self._texts))

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The texts of both directions, or of the one that is there."""
        texts = tuple(one for direction in _DIRECTIONS for one in _texts(answers[0], direction))
        if not texts:
            raise UnparsableError(f"no text in either direction: {one_line(answers[0])[:80]!r}")
        return Output(texts=texts)


def _texts(answer: str, direction: str) -> tuple[Candidate, ...]:
    try:
        data = json_object(answer, direction)
    except UnparsableError:
        return ()  # The other direction may be there.
    return candidates(data[direction], direction)


def _schema(texts: int) -> dict[str, Any]:
    text = object_schema({"category": {"enum": list(CATEGORIES)}, "text": {"type": "string"}})
    listed = {"type": "array", "items": text, "minItems": 1, "maxItems": texts}
    return object_schema(dict.fromkeys(_DIRECTIONS, listed))
