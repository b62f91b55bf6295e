"""Open-ended instructions by a text-only model, after MagicLens (arXiv 2403.19651, section 3 and appendix).

The model sees the page's title and, of both images, alt text or caption of the page, label and written caption; five
demonstrations; it reasons first and ends in the instruction.
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
    NothingToAsk,
    OneStep,
    Output,
    Row,
    Unit,
    UnparsableError,
)
from synthesis.tasks.pair_texts import candidates, known_of
from synthesis.words import one_line


class InstructionMagicLens(OneStep):
    """A few short texts a pair, as JSON, behind a line of reasoning."""

    name = "instruction_magiclens"
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)
        self._texts = config.texts

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`text_missing` where nothing is known of the target, `nothing_new` where the same is known of both."""
        query, target = (known_of(row, side) for side in ("query", "target"))
        if not any(target):
            return NothingToAsk("text_missing")
        if query == target:
            return NothingToAsk("nothing_new")
        return Ask(self._prompt, self._prompt.render(row, texts=self._texts), schema=_schema(self._texts))

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The texts of the JSON object in the answer."""
        items = json_object(answers[0], "instructions")["instructions"]
        if not isinstance(items, list):
            raise UnparsableError(f"no list of instructions: {one_line(answers[0])[:80]!r}")
        return Output(texts=candidates(items))


def _schema(texts: int) -> dict[str, Any]:
    instruction = object_schema({"text": {"type": "string"}, "category": {"enum": list(CATEGORIES)}})
    return object_schema(
        {
            "reasoning": {"type": "string"},
            "instructions": {"type": "array", "items": instruction, "minItems": 1, "maxItems": texts},
        }
    )
