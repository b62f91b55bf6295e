"""A chain over a few rows in this process: for plans, judges and the refining of benchmarks, which need no cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.outcomes import CollectedOutcomes
from schemas.protocols import InstructionWriter
from schemas.storage import Folder
from synthesis.asking import Asking, Usage, answer
from synthesis.chain import Answer, Answers, Chain, ChainRows, Link, Question, Unanswered, follow_up
from synthesis.config import TaskConfig
from synthesis.store import GenerationStore

ImagesReader = Callable[[Sequence[str], int], Sequence[bytes]]
#: Ids of requests to the answers that other stores have, rows of `generations` by request id.
StoredAnswers = Callable[[Iterable[str]], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class StepRun:
    """One step of a chain over its rows: what it asked, the rows of `generations` that answered, how many of them had
    to be asked for, and in how many seconds (loading the model not counted)."""

    link: Link
    questions: tuple[Question, ...]
    answered: tuple[dict[str, Any], ...]
    asked: int
    seconds: float


@dataclass
class ChainResult:
    """The rows at the end of a chain, what became of requests and texts, what each step used, and how each went."""

    rows: ChainRows
    outcomes: CollectedOutcomes
    usage: dict[str, Usage] = field(default_factory=dict)
    steps: list[StepRun] = field(default_factory=list)


def run_rows(
    rows: Sequence[Mapping[str, Any]],
    chain: Chain,
    folder: Folder,
    load: Callable[[TaskConfig], InstructionWriter],
    images: ImagesReader | None = None,
    stored: StoredAnswers | None = None,
) -> ChainResult:
    """Take rows (of `pairs`, or of triplets) along a chain. Answers are kept in `folder`: what is there, or what other
    stores have (`stored`), is not asked.

    `images`: ids and the longer side in pixels to encoded files. Raises what `load` raises.
    """
    result = ChainResult(ChainRows(rows), CollectedOutcomes())
    for link in chain.links:
        asked = tuple(result.rows.questions(link))
        questions = {request.request_id: question for question in asked for request in question.requests}
        requests = {request.request_id: request for question in asked for request in question.requests}
        told = CollectedOutcomes()
        store = GenerationStore(folder, link.name)
        known = dict(stored(requests)) if stored is not None and requests else {}
        before = known.keys() | store.read(requests).keys()
        loading = _Loading(load, link.config)
        asking = Asking(store, link.config, loading.writer, follow_up(questions, link.step), images)
        began = time.monotonic()
        result.usage[link.name] = answer(requests.values(), asking, told, known)
        seconds = time.monotonic() - began - loading.seconds
        answered = tuple(told.rows("generations"))
        new = sum(row["request_id"] not in before for row in answered)
        result.steps.append(StepRun(link, asked, answered, new, seconds))
        result.outcomes.counts.add(told.counts)
        for table, found in told.tables.items():
            result.outcomes.tables.setdefault(table, []).extend(found)
        result.rows.take(link, _answers(told), result.outcomes)
    for task, _ in chain.tasks:
        result.rows.write(task, result.outcomes)
    return result


class _Loading:
    """Loads the model of a step, and says how long that took."""

    def __init__(self, load: Callable[[TaskConfig], InstructionWriter], config: TaskConfig) -> None:
        self._load, self._config = load, config
        self.seconds = 0.0

    def writer(self) -> InstructionWriter:
        began = time.monotonic()
        writer = self._load(self._config)
        self.seconds += time.monotonic() - began
        return writer


def _answers(told: CollectedOutcomes) -> Answers:
    found: dict[str, Answer | Unanswered] = {
        row["request_id"]: Answer(row["text"], row["prompt"], row["model"]) for row in told.rows("generations")
    }
    for table in ("rejected", "deferred"):
        found |= {row["id"]: Unanswered.of_row(row["reason"], table == "deferred") for row in told.rows(table)}
    return Answers(found)
