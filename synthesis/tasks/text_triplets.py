"""Text triplets from captions alone, after RTD: a caption, an edit, and the caption of the edited scene.

They train the text encoder; no picture is looked at, and no pair is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from synthesis.config import TaskConfig
from synthesis.filters import leak_in, refusal_in
from synthesis.json_answers import json_object, object_schema, unquoted
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit, UnparsableError
from synthesis.tasks.pair_texts import said_of_image, same
from synthesis.words import one_line

_SCHEMA = object_schema({"edit": {"type": "string"}, "edited": {"type": "string"}})


class TextTriplets(OneStep):
    """Fact `text_triplet`: `caption` as it was asked about, `edit` and `edited` as the answer has them."""

    name = "text_triplets"
    unit: Unit = "image"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`text_missing` where neither a caption nor the page says anything of the image."""
        caption = said_of_image(row)
        if not caption:
            return NothingToAsk("text_missing")
        return Ask(self._prompt, self._prompt.render({"caption": caption}), schema=_SCHEMA, max_tokens=256)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The triplet, if there is an edit and it changes the caption."""
        data = json_object(answers[0], "edit", "edited")
        edit, edited = (unquoted(value) if isinstance(value := data[key], str) else "" for key in ("edit", "edited"))
        caption = said_of_image(row)
        if not edit or not edited or same(edited, caption):
            raise UnparsableError(f"nothing is edited: {one_line(answers[0])[:80]!r}")
        fault = next((found for text in (edit, edited) if (found := refusal_in(text) or leak_in(text))), None)
        if fault is not None:
            raise UnparsableError(f"no text triplet: {fault!r} in {one_line(answers[0])[:80]!r}")
        return Output({"text_triplet": {"caption": caption, "edit": edit, "edited": edited}})
