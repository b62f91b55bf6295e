"""The question of every verifier: which of some images does the text lead to (CoLLM's refinement of benchmarks, arXiv
2503.19910).

The target stands among similar images in an order drawn from a stored seed; three tries, of which two must be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from schemas.ids import digest
from synthesis.config import TaskConfig
from synthesis.json_answers import json_object, object_schema, plain_answer
from synthesis.page_text import plain
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit, UnparsableError
from synthesis.words import one_line

#: By what a choice is made: pictures, or what is written about them.
Kind = Literal["image", "text"]
PROMPTS: Mapping[Kind, str] = {"image": "verify_image", "text": "verify_text"}
TRIES, RIGHT = 3, 2
#: What three tries at the same question are sampled with where the configuration says 0: greedy ones would be equal.
TEMPERATURE = 0.7
#: Votes: 0 is the target, 1, 2, … the distractors as the row lists them.
TARGET, SEVERAL, NONE, UNREAD = 0, -1, -2, -3
#: The target among fewer images than this would be found by chance.
_LEAST = 3
_MAX_TOKENS = 300
_NUMBER = re.compile(
    r"\A[*_#(\s]*(?:(?:image|candidate|answer|number|no)\b[^\w-]*){0,3}(-?\d{1,3})\W*\Z", re.IGNORECASE
)


@dataclass(frozen=True)
class Choice:
    """What the tries say: `pass` (two are the target), `ambiguous` (two say that several fit) or `fail`; the votes; the
    numbers of the candidates in the order in which they were shown."""

    verdict: str
    votes: tuple[int, ...]
    order: tuple[int, ...]


class ChoosingTask(OneStep):
    """A verifier: one question a text, asked three times, after which of the shuffled candidates it leads to.

    Facts `verdict` (pass, ambiguous, fail), `votes` (0 the target, 1, 2, … the distractors, -1 several fit, -2 none
    fits, -3 unread), `judged_order` (the candidates as they were shown, by the same numbers) and `judged_by`."""

    unit: Unit = "triplet"
    kind: Kind

    def __init__(self, config: TaskConfig) -> None:
        self._config = config

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """See `ask_choice`."""
        return ask_choice(self.kind, row.get("instruction"), row, self._config)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The verdict on the row's instruction."""
        found = read_choice(self.kind, row["instruction"], answers, row, self._config)
        facts = {"verdict": found.verdict, "votes": list(found.votes), "judged_order": list(found.order)}
        return Output(facts | {"judged_by": self.kind})


def ask_choice(kind: Kind, text: str | None, row: Row, config: TaskConfig) -> Ask | NothingToAsk:
    """The question which candidate a text leads to. `too_few_candidates`: the target and two others are wanted at
    least; `instruction_missing`; `text_missing`: by text, where nothing is written about the target."""
    if not text:
        return NothingToAsk("instruction_missing")
    if kind == "text" and written_about(row)[TARGET] is None:
        return NothingToAsk("text_missing")
    order = shown_order(kind, text, row, config.seed)
    if len(order) < _LEAST:
        return NothingToAsk("too_few_candidates")
    prompt = load_prompt(PROMPTS[kind])
    images: tuple[str, ...] = ()
    if kind == "image":
        candidates = (row["target_image_id"], *row["distractors"])
        images = (row["query_image_id"], *(candidates[number] for number in order))
        messages = prompt.render({"instruction": text}, count=len(order))
    else:
        known = written_about(row)
        shown = {
            "instruction": text,
            "query_text": row.get("query_text"),
            "query_caption": row.get("query_caption"),
            "candidates": [known[number] for number in order],
        }
        messages = prompt.render(shown, count=len(order))
    return Ask(
        prompt,
        messages,
        images,
        schema=_schema(len(order)),
        samples=TRIES,
        temperature=config.temperature or TEMPERATURE,
        max_tokens=_MAX_TOKENS,
    )


def read_choice(kind: Kind, text: str, answers: Sequence[str], row: Row, config: TaskConfig) -> Choice:
    """Verdict and votes of the tries that were answered. Raises UnparsableError where none can be read."""
    order = shown_order(kind, text, row, config.seed)
    votes = tuple(_vote(answer, order) for answer in answers)
    if all(vote == UNREAD for vote in votes):
        raise UnparsableError(f"no number: {plain(answers[0], 80)!r}")
    passed, several = votes.count(TARGET) >= RIGHT, votes.count(SEVERAL) >= RIGHT
    return Choice("pass" if passed else "ambiguous" if several else "fail", votes, order)


def shown_order(kind: Kind, text: str, row: Row, seed: int) -> tuple[int, ...]:
    """The candidates as numbers (0 the target, 1, 2, … the distractors), in the order of a digest of seed, pair and
    text; by text, those that nothing is written about are left out."""
    numbers = list(range(1 + len(row.get("distractors") or ())))
    if kind == "text":
        known = written_about(row)
        numbers = [number for number in numbers if known[number] is not None]
    return tuple(sorted(numbers, key=lambda one: digest("shown order", str(seed), row["pair_id"], text, str(one))))


def written_about(row: Row) -> list[str | None]:
    """What is written about target and distractors: their captions where all of them have one, else their texts on the
    page, so that nothing but the content tells them apart."""
    count = len(row.get("distractors") or ())
    captions = [row.get("target_caption"), *(row.get("distractor_captions") or [None] * count)]
    texts = [row.get("target_text"), *(row.get("distractor_texts") or [None] * count)]
    complete = all(one_line(one or "") for one in captions)
    return [one if one_line(one or "") else None for one in (captions if complete else texts)]


def _vote(answer: str, order: Sequence[int]) -> int:
    number = _number(answer)
    if number is None or not SEVERAL <= number <= len(order):
        return UNREAD
    return SEVERAL if number == SEVERAL else NONE if number == 0 else order[number - 1]


def _number(answer: str) -> int | None:
    """The number that an answer names: in its JSON object, or all that it is."""
    try:
        value = json_object(answer, "image")["image"]
    except UnparsableError:
        try:
            value = plain_answer(answer)
        except UnparsableError:
            return None
    if isinstance(value, str):
        found = _NUMBER.match(value[:40])
        return int(found[1]) if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 1000 and value == int(value) else None


def _schema(count: int) -> dict[str, Any]:
    """Answers about so many candidates."""
    numbers = {"type": "integer", "enum": [*range(1, count + 1), 0, SEVERAL]}
    return object_schema({"why": {"type": "string"}, "image": numbers})
