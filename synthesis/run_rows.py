"""A chain over a few rows in this process: for plans, judges and the refining of benchmarks, which need no cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.outcomes import CollectedOutcomes
from schemas.protocols import InstructionWriter
from schemas.storage import Folder
from synthesis.asking import Asking, Usage, answer
from synthesis.chain import Answer, Answers, Chain, ChainRows, Unanswered, follow_up
from synthesis.config import TaskConfig
from synthesis.requests import Request
from synthesis.store import GenerationStore

ImagesReader = Callable[[Sequence[str], int], Sequence[bytes]]


@dataclass
class ChainResult:
    """The rows at the end of a chain, what became of requests and texts, and what each step used."""

    rows: ChainRows
    outcomes: CollectedOutcomes
    usage: dict[str, Usage] = field(default_factory=dict)


def run_rows(
    rows: Sequence[Mapping[str, Any]],
    chain: Chain,
    folder: Folder,
    load: Callable[[TaskConfig], InstructionWriter],
    images: ImagesReader | None = None,
) -> ChainResult:
    """Take rows (of `pairs`, or of triplets) along a chain. Answers are kept in `folder`: what is there is not asked.

    `images`: ids and the longer side in pixels to encoded files. Raises what `load` raises.
    """
    result = ChainResult(ChainRows(rows), CollectedOutcomes())
    for link in chain.links:
        questions = {
            request.request_id: question for question in result.rows.questions(link) for request in question.requests
        }
        requests: dict[str, Request] = {
            request.request_id: request for question in questions.values() for request in question.requests
        }
        told = CollectedOutcomes()
        store = GenerationStore(folder, link.name)
        config = link.config

        def loaded(config: TaskConfig = config) -> InstructionWriter:
            return load(config)

        asking = Asking(store, config, loaded, follow_up(questions, link.step), images)
        result.usage[link.name] = answer(requests.values(), asking, told)
        result.outcomes.counts.add(told.counts)
        for table, found in told.tables.items():
            result.outcomes.tables.setdefault(table, []).extend(found)
        result.rows.take(link, _answers(told), result.outcomes)
    for task, _ in chain.tasks:
        result.rows.write(task, result.outcomes)
    return result


def _answers(told: CollectedOutcomes) -> Answers:
    found: dict[str, Answer | Unanswered] = {
        row["request_id"]: Answer(row["text"], row["prompt"], row["model"]) for row in told.rows("generations")
    }
    for row in told.rows("rejected"):
        failed = row["reason"].startswith("error:")
        reason = row["reason"].removeprefix("error:") if failed else "no_answer"
        found[row["id"]] = Unanswered(reason, "failed" if failed else "rejected")
    for row in told.rows("deferred"):
        found[row["id"]] = Unanswered(row["reason"], "deferred")
    return Answers(found)
