"""Queries in two steps, after MegaPairs (arXiv 2412.14475).

A model that sees both images says what they have in common and what differs; another, which sees that description only,
turns it into three or more queries, with demonstrations drawn from a pool of fifty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.ids import digest
from synthesis.config import TaskConfig
from synthesis.filters import refusal_in
from synthesis.json_answers import json_object, object_schema, plain_answer
from synthesis.page_text import plain
from synthesis.prompt_files import Demonstration, load_prompt
from synthesis.tasks.interface import Ask, Candidate, NothingToAsk, Output, Row, Step, Unit, UnparsableError
from synthesis.tasks.pair_texts import candidates
from synthesis.words import one_line, words

_FACT = "described"
#: Words of a description, at least: asked for are 60 to 100.
_FEWEST_WORDS = 15
#: Characters of a description that the second step is shown.
_CHARACTERS = 1200


class ModificationMegaPairs:
    """Describe, then write."""

    name = "modification_megapairs"

    def __init__(self, config: TaskConfig) -> None:
        self._steps = (Describe(), Write(config))

    @property
    def steps(self) -> Sequence[Step]:
        """Two questions, of which the second needs the first one's fact."""
        return self._steps

    def texts(self, row: Row) -> Sequence[Candidate]:
        """None without a model."""
        return ()


class Describe:
    """What two images have in common and what differs: fact `described`."""

    name = "modification_megapairs.describe"
    unit: Unit = "pair"

    def __init__(self) -> None:
        self._prompt = load_prompt(self.name)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """Both images, the query first, with what the page says of them; `nothing_new` where they are one image."""
        images = (row["query_image_id"], row["target_image_id"])
        if images[0] == images[1]:
            return NothingToAsk("nothing_new")
        return Ask(self._prompt, self._prompt.render(row), images)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The description, on one line."""
        text = plain_answer(answers[0])
        if len(words(text)) < _FEWEST_WORDS or refusal_in(text) is not None:
            raise UnparsableError(f"no description of both images: {text[:80]!r}")
        return Output({_FACT: text})


class Write:
    """A description to queries."""

    name = "modification_megapairs.write"
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(ModificationMegaPairs.name)
        self._texts = max(3, config.texts)
        self._drawn, self._seed = config.demonstrations, str(config.demonstration_seed)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`description_missing` where the images were not described."""
        described = plain(row.get(_FACT), _CHARACTERS)
        if not described:
            return NothingToAsk("description_missing")
        messages = self._prompt.render({_FACT: described}, self._draw(described), texts=self._texts)
        return Ask(self._prompt, messages, schema=_schema(self._texts))

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The queries of the JSON object in the answer."""
        texts = candidates(json_object(answers[0], "queries")["queries"])
        if not texts:
            raise UnparsableError(f"no query in the list: {one_line(answers[0])[:80]!r}")
        return Output(texts=texts)

    def _draw(self, described: str) -> list[Demonstration]:
        """Told by the seed and the description alone, so that equal descriptions make equal requests."""
        return sorted(
            self._prompt.demonstrations,
            key=lambda one: digest("demonstration", self._seed, described, one.row[_FACT]),
        )[: self._drawn]


def _schema(texts: int) -> dict[str, Any]:
    return object_schema({"queries": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": texts}})
