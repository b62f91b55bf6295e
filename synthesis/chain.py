"""Chains of tasks: the rows of a shard go from question to question, and what is answered joins them.

Pure: where answers come from is the caller's business (`Lookup`). The same rows and answers give the same questions,
whoever asks, so that nothing but ids and answers has to travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.outcomes import Outcomes
from synthesis.config import ChainConfig, TaskConfig
from synthesis.requests import Request, again, make_requests
from synthesis.tasks import make_task
from synthesis.tasks.interface import Ask, Candidate, NothingToAsk, Output, Step, Task, UnparsableError

_SIDES = ("query", "target")
#: What a question is about: (page, image) or (pair,).
Key = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a model said to a request: its text, the prompt (name@version) and the model that it came from."""

    text: str
    prompt: str
    model: str


@dataclass(frozen=True)
class Unanswered:
    """Why there is no answer: nothing to ask or a request that was refused (`rejected`), one that may work another time
    (`failed`), one that was put off (`deferred`)."""

    reason: str
    kind: Literal["rejected", "failed", "deferred"] = "rejected"

    @classmethod
    def of_row(cls, reason: str, deferred: bool = False) -> Unanswered:
        """From the reason of a request's row in `rejected` or `deferred`. Of refusals a row need not know the kind."""
        if deferred:
            return cls(reason, "deferred")
        failed = reason.startswith("error:")
        return cls(reason.removeprefix("error:"), "failed") if failed else cls("no_answer")

    def tell(self, outcomes: Outcomes, unit: str, *, id: str, url: str | None, detail: str | None = None) -> None:
        """Let a unit leave its stage for this reason."""
        tell = {"rejected": outcomes.rejected, "failed": outcomes.failed, "deferred": outcomes.deferred}[self.kind]
        tell(unit, self.reason, id=id, url=url, detail=detail)


def passing(reasons: Iterable[Unanswered]) -> Unanswered | None:
    """Of several reasons the one that another run may mend: what failed, then what was put off."""
    found = list(reasons)
    return next((one for kind in ("failed", "deferred") for one in found if one.kind == kind), None)


@dataclass(frozen=True)
class Answers:
    """The answers that a shard may look up: by request id, and of several samples (named by the first one's request)
    the number of the one that was chosen."""

    by_request: Mapping[str, Answer | Unanswered] = field(default_factory=dict)
    chosen: Mapping[str, int] = field(default_factory=dict)

    def of(self, request: Request) -> Answer | Unanswered:
        """The answer to a request; without any trace of one it is `no_answer`."""
        return self.by_request.get(request.request_id, Unanswered("no_answer"))


@dataclass(frozen=True)
class Written:
    """A text of a pair, by which task it was written, and from which answer; None for a task without a model."""

    candidate: Candidate
    method: str
    source: Answer | None


@dataclass(frozen=True)
class Link:
    """One step of a chain with the settings of its task."""

    task: Task
    step: Step
    config: TaskConfig

    @property
    def name(self) -> str:
        """Name of the step."""
        return self.step.name


@dataclass(frozen=True)
class Chain:
    """Tasks in their order, and all their steps."""

    tasks: tuple[tuple[Task, TaskConfig], ...]

    @property
    def links(self) -> tuple[Link, ...]:
        """The steps of all tasks, in their order."""
        return tuple(Link(task, step, config) for task, config in self.tasks for step in task.steps)


def make_chain(config: ChainConfig) -> Chain:
    """The chain of a configuration. Raises ConfigurationError for a task that is not there, or stands there twice."""
    settings = {name: config.of(name) for name in config.chain}
    return Chain(tuple((make_task(name, own), own) for name, own in settings.items()))


@dataclass(frozen=True)
class Question:
    """A step's question about one unit: the row that it is asked about, and its requests, one for each sample."""

    key: Key
    row: Mapping[str, Any]
    ask: Ask
    requests: tuple[Request, ...]


class ChainRows:
    """The rows of one shard (of `pairs`, or of `triplets`) on their way along a chain.

    `texts[i]`: what was written for row i; `facts`: what was said of an image, by (page, image); `said`: by which task,
    and from which answer.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = [dict(row) for row in rows]
        self.texts: list[list[Written]] = [[] for _ in rows]
        self.facts: dict[Key, dict[str, Any]] = {}
        self.said: dict[tuple[Key, str], tuple[dict[str, Any], Answer]] = {}
        self._images = _images(self.rows)
        self._stuck: dict[Key, Unanswered] = {}
        #: Why a task has nothing for a row: row number → task → reason.
        self.reasons: list[dict[str, Unanswered]] = [{} for _ in rows]

    def questions(self, link: Link) -> Iterator[Question]:
        """What a link asks, unit by unit; units that it has no question for are left out."""
        for key, row, _ in self._units(link):
            asked = link.step.format_input(row)
            if isinstance(asked, Ask):
                yield Question(key, row, asked, tuple(make_requests(asked, link.config)))

    def take(self, link: Link, answers: Answers, outcomes: Outcomes) -> None:
        """Let the answers to a link join the rows. Unit `text`: those of pairs that cannot be read are rejected
        (`unparsable_answer`); those that can are entered, and told of when all is written."""
        for key, row, number in list(self._units(link)):
            asked = link.step.format_input(row)
            if isinstance(asked, NothingToAsk):
                self._lack(link, key, number, Unanswered(asked.reason))
                continue
            requests = make_requests(asked, link.config)
            found = read_output(link.step, requests, row, answers)
            if isinstance(found, UnparsableError):
                outcomes.entered("text")
                outcomes.rejected(
                    "text", "unparsable_answer", id=key[-1], url=row.get("page_url"), detail=f"{link.name}: {found}"
                )
                self._lack(link, key, number, Unanswered("unparsable_answer"))
            elif isinstance(found, Unanswered):
                self._lack(link, key, number, found)
            else:
                self._join(link, key, number, *found)
                outcomes.entered("text", len(found[0].texts))

    def write(self, task: Task, outcomes: Outcomes) -> None:
        """Texts of a task that no answer is needed for. A pair that waits for what may still be said of its images has
        none from a task that would take it as it is."""
        for number, row in enumerate(self.rows):
            if not task.steps and (stuck := self._waiting_for(row)) is not None:
                self.reasons[number][task.name] = stuck
                continue
            for candidate in task.texts(self._pair_row(row)):
                outcomes.entered("text")
                self.texts[number].append(Written(candidate, task.name, None))

    def _units(self, link: Link) -> Iterator[tuple[Key, Mapping[str, Any], int | None]]:
        shown = {"show_images": True} if link.config.show_images else {}
        if link.step.unit == "image":
            for key, row in self._images.items():
                if key not in self._stuck:
                    yield key, row | self.facts.get(key, {}), None
            return
        for number, row in enumerate(self.rows):
            if link.task.name not in self.reasons[number]:
                stuck = self._waiting_for(row)
                if stuck is None:
                    yield (row["pair_id"],), self._pair_row(row, number) | shown, number
                else:
                    self.reasons[number][link.task.name] = stuck

    def _waiting_for(self, row: Mapping[str, Any]) -> Unanswered | None:
        return next((self._stuck[key] for key in _keys(row) if key in self._stuck), None)

    def _pair_row(self, row: Mapping[str, Any], number: int | None = None) -> dict[str, Any]:
        known = dict(row)
        for side, key in zip(_SIDES, _keys(row), strict=True):
            known |= {f"{side}_{name}": value for name, value in self.facts.get(key, {}).items()}
        if number is not None and "instruction" not in known:
            forward = (one.candidate for one in self.texts[number] if one.candidate.direction == "forward")
            if (best := next(forward, None)) is not None:
                known["instruction"] = best.text
        return known

    def _join(self, link: Link, key: Key, number: int | None, output: Output, source: Answer) -> None:
        if number is None:
            self.facts.setdefault(key, {}).update(output.facts)
            before = self.said[key, link.task.name][0] if (key, link.task.name) in self.said else {}
            self.said[key, link.task.name] = (before | dict(output.facts), source)
            return
        self.rows[number] |= output.facts
        self.texts[number] += [Written(candidate, link.task.name, source) for candidate in output.texts]

    def _lack(self, link: Link, key: Key, number: int | None, reason: Unanswered) -> None:
        if number is not None:
            self.reasons[number][link.task.name] = reason
        elif reason.kind != "rejected":
            # A pair waits for what may still be said of its images.
            self._stuck[key] = reason


def read_output(
    step: Step, requests: Sequence[Request], row: Mapping[str, Any], answers: Answers
) -> tuple[Output, Answer] | Unanswered | UnparsableError:
    """What the answers to one question hold, with the answer that it is from; of one that cannot be read, what the
    answer to the request that asked again holds."""
    found = [answers.of(request) for request in requests]
    said = [one for one in found if isinstance(one, Answer)]
    missing = [one for one in found if isinstance(one, Unanswered)]
    waiting = next((one for one in missing if one.kind != "rejected"), None)
    if waiting is not None:
        return waiting
    if not said:
        return missing[0]
    chosen = answers.chosen.get(requests[0].request_id, len(found))
    if chosen < len(found) and isinstance(best := found[chosen], Answer):
        said = [best]
    try:
        return step.format_output([one.text for one in said], row), said[0]
    except UnparsableError as error:
        second = answers.of(again(requests[0], said[0].text)) if len(requests) == 1 else Unanswered("no_answer")
        if isinstance(second, Unanswered):
            return error if second.kind == "rejected" else second
        try:
            return step.format_output([second.text], row), second
        except UnparsableError as still:
            return still


def follow_up(questions: Mapping[str, Question], step: Step) -> Callable[[Request, str], Request | None]:
    """A function that says what to ask when an answer cannot be read: the same request with the bad answer behind it,
    once. `questions` by the ids of their requests."""

    def ask_again(request: Request, text: str) -> Request | None:
        question = questions.get(request.request_id)
        if question is None or request.follows is not None or len(question.requests) > 1:
            return None
        try:
            step.format_output([text], question.row)
        except UnparsableError:
            return again(request, text)
        return None

    return ask_again


def _keys(row: Mapping[str, Any]) -> tuple[Key, Key]:
    return (row["page_id"], row["query_image_id"]), (row["page_id"], row["target_image_id"])


def _images(rows: Sequence[Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """The images of pairs as rows of their own, in the order in which they are named first."""
    found: dict[Key, dict[str, Any]] = {}
    for row in rows:
        for side, key in zip(_SIDES, _keys(row), strict=True):
            if key not in found:
                found[key] = {
                    "page_id": row["page_id"],
                    "page_title": row.get("page_title"),
                    "page_url": row.get("page_url"),
                    "language": row.get("language"),
                    "image_id": row[f"{side}_image_id"],
                    "text": row.get(f"{side}_text"),
                    "label": row.get(f"{side}_label"),
                }
    return found
