"""The interface of tasks: what is asked about a row, and what is read from the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from synthesis.json_answers import UnparsableError
from synthesis.prompt_files import Message, Prompt

__all__ = [
    "CATEGORIES",
    "LENGTHS",
    "Ask",
    "Candidate",
    "NothingToAsk",
    "OneStep",
    "Output",
    "Row",
    "Step",
    "Task",
    "Unit",
    "UnparsableError",
]

#: What a task may look at: columns of the row's table, and what earlier steps have said of it.
Row = Mapping[str, Any]
#: What one question is about. `image`: one picture on one page (`page_id page_title page_url image_id text label
#: language`); `pair`: a row of `pairs`; `triplet`: a row of `triplets`.
Unit = Literal["image", "pair", "triplet"]

CATEGORIES = ("attribute", "added_object", "removed_object", "relationship", "viewpoint", "number")
LENGTHS = ("short", "medium", "fine")


@dataclass(frozen=True)
class Candidate:
    """A text that an answer holds, not filtered yet.

    `category` one of `CATEGORIES` or None, `direction` forward or backward, `length` one of `LENGTHS` or None (told by
    the number of words then). `keep`, `add`, `remove`, `change`: what it says of the parts of the query image.
    """

    text: str
    category: str | None = None
    direction: str = "forward"
    length: str | None = None
    score: float | None = None
    keep: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    change: tuple[str, ...] = ()


@dataclass(frozen=True)
class NothingToAsk:
    """Why a step has no question for a row (snake_case)."""

    reason: str


@dataclass(frozen=True)
class Ask:
    """A question. `image_ids` in the order in which the messages number them. `schema`: JSON schema of the answer, or
    `grammar` in GBNF. `samples` answers are asked for, each with a seed of its own; None leaves a parameter to the
    configuration."""

    prompt: Prompt
    messages: Sequence[Message]
    image_ids: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    samples: int = 1
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class Output:
    """What an answer holds: `facts` join the row for the steps that follow (those of an image under `query_…` and
    `target_…`), `texts` are for the pair."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    texts: Sequence[Candidate] = ()


class Step(Protocol):
    """One question of a task. Whatever `format_output` takes of a row must stand in its request: equal requests have
    one answer, and that is parsed alike."""

    #: Unique among all steps: the task's name, or with its own behind a dot.
    name: str
    unit: Unit

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """The question about a row, or why there is none."""

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """What the answers to one question hold: one for each sample that was answered, at least one.

        Raises UnparsableError, and nothing else, whatever the answers are."""


class Task(Protocol):
    """A way to write. `name` is the method of its texts, and its file's name."""

    name: str

    @property
    def steps(self) -> Sequence[Step]:
        """Its questions in their order; none for a task without a model."""

    def texts(self, row: Row) -> Sequence[Candidate]:
        """Texts that follow from a pair's row without a further answer."""


class OneStep:
    """A task that is its own only step, and whose texts all stand in answers."""

    @property
    def steps(self) -> Sequence[Step]:
        """The task itself."""
        return (cast(Step, self),)

    def texts(self, row: Row) -> Sequence[Candidate]:
        """None without an answer."""
        return ()
