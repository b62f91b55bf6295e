"""The rows of one shard on their way along a chain of tasks, put together again wherever they are needed.

Nothing of a row travels: a shard's rows are read where they lie, and the answers to the steps before where their owners
wrote them.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.index_step import answer_map
from beam_jobs.session import asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from schemas.outcomes import IgnoredOutcomes, Outcomes
from synthesis.chain import Answer, Answers, Chain, ChainRows, Unanswered, make_chain
from synthesis.config import ChainConfig

RowsReader = Callable[[Workspace, Mapping[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class ChainSpec:
    """A stage's chain: its settings, and `module:function` that reads the rows of a source (what a stage plans for one
    of its shards, plain values)."""

    stage: str
    reader: str
    config: ChainConfig

    @property
    def chain(self) -> Chain:
        """The tasks."""
        return make_chain(self.config)

    def job(self, link: str) -> str:
        """The job that answers a step: `write_instructions.caption_detailed-check`."""
        return f"{self.stage}.{link.replace('.', '-')}"

    def read(self, workspace: Workspace, source: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a source."""
        module, _, name = self.reader.partition(":")
        reader: RowsReader = getattr(importlib.import_module(module), name)
        return reader(workspace, source)


@dataclass(frozen=True)
class Place:
    """A shard of a chain: what its rows are read from, its number in the plan, and for each step that is answered which
    of its requests it owns and who owns the others: two paths of answers of an index step."""

    source: Mapping[str, Any]
    number: int
    owners: tuple[tuple[str | None, str | None], ...] = ()

    def to_work(self) -> dict[str, Any]:
        """Plain values: what a shard of a job is told."""
        return {"source": dict(self.source), "number": self.number, "owners": [list(one) for one in self.owners]}

    @classmethod
    def of_work(cls, work: Mapping[str, Any]) -> Place:
        """Read what `to_work` made."""
        return cls(work["source"], work["number"], tuple((own, foreign) for own, foreign in work["owners"]))


def borrower(number: int) -> str:
    """Name under which a shard asks for requests that others own."""
    return f"{asker(number)}-borrowed"


def advanced(
    workspace: Workspace,
    spec: ChainSpec,
    place: Place,
    plans: Sequence[str],
    outcomes: Outcomes | None = None,
    chain: Chain | None = None,
) -> ChainRows:
    """The rows of a shard after as many steps as there are plans. What became of their texts is told to `outcomes`."""
    found = ChainRows(spec.read(workspace, place.source))
    links = (chain or spec.chain).links
    told = outcomes or IgnoredOutcomes()
    for link, plan, owners in zip(links, plans, place.owners, strict=False):
        answers = read_answers(workspace, spec.job(link.name), plan, place.number, *owners)
        found.take(link, answers, told)
    return found


def read_answers(
    workspace: Workspace, job: str, plan: str, number: int, owned: str | None, borrowed: str | None
) -> Answers:
    """The answers to the requests of one shard, wherever their owners wrote them."""
    keys: Mapping[str, Sequence[str]] = workspace.folder.read_json(plan)
    wanted: dict[str, set[str]] = {}
    owners = {name: asker(number) for name in answer_map(workspace, owned)}
    owners |= {name: owner.decode() for name, owner in answer_map(workspace, borrowed).items()}
    for request_id, owner in owners.items():
        # An owner of many requests has answered them in several shards.
        for key in keys[owner]:
            wanted.setdefault(key, set()).add(request_id)
    by_request: dict[str, Answer | Unanswered] = {}
    chosen: dict[str, int] = {}
    columns = ["request_id", "text", "prompt", "model", "follows"]
    for key in sorted(wanted):
        manifest, ids = workspace.manifests(job, [key])[0], wanted[key]
        for row in rows(workspace, manifest, "generations", columns):
            if row["request_id"] in ids or row["follows"] in ids:
                by_request[row["request_id"]] = Answer(row["text"], row["prompt"], row["model"])
        for row in rows(workspace, manifest, "choices"):
            if row["request_id"] in ids:
                chosen[row["request_id"]] = row["sample"]
        _read_unanswered(workspace, manifest, by_request)
    return Answers(by_request, chosen)


def _read_unanswered(workspace: Workspace, manifest: Any, found: dict[str, Answer | Unanswered]) -> None:
    """Requests without an answer are few: follow-ups among them are found by their ids alone."""
    for table in ("rejected", "deferred"):
        for row in rows(workspace, manifest, table, ["unit", "id", "reason"]):
            if row["unit"] == "request":
                found[row["id"]] = Unanswered.of_row(row["reason"], table == "deferred")


def write_plan(workspace: Workspace, job: str, keys: Mapping[str, Sequence[str]], name: str) -> str:
    """Note which answer shards each shard's requests are in; returns the note's path."""
    path = f"_work/plans/{job}/{name}.json"
    workspace.folder.create(path, json.dumps(dict(sorted(keys.items()))).encode())
    return path


def image_ids_of(found: Iterable[Mapping[str, Any]]) -> set[str]:
    """The images that rows of pairs or triplets, and what they are judged among, name."""
    ids: set[str] = set()
    for row in found:
        ids |= {row["query_image_id"], row["target_image_id"], *(row.get("distractors") or ())}
    return ids
