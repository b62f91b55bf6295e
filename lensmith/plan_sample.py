"""A sample of a run's pairs, taken along its chains, and what that says of all of them."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beam_jobs.chain_plan import Stores
from beam_jobs.chain_rows import image_ids_of
from beam_jobs.shown_images import find_places, shown_images
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from lensmith.plan_pairs import SIDES, Found, couple, find_pairs
from lensmith.settings import Settings
from schemas.errors import ConfigurationError
from schemas.outcomes import CollectedOutcomes
from schemas.protocols import InstructionWriter
from schemas.storage import Folder
from synthesis.chain import Chain, Key, make_chain
from synthesis.config import TaskConfig
from synthesis.costs import Price
from synthesis.planning import StepPlan, plan_step
from synthesis.run_rows import ChainResult, StoredAnswers, run_rows
from synthesis.stand_in import TEXT, StandIn
from synthesis.store import answer_ids, read_answers_of
from synthesis.verification.chain_verdicts import judged_rows, judging_columns
from synthesis.verification.distractors import COLUMNS, Lookalikes
from synthesis.writing import write_image_texts, write_triplets

#: Folder of a plan's answers, in the store that the run writes to.
PARTS = "plan"

Load = Callable[[TaskConfig], InstructionWriter]


@dataclass
class Plan:
    """What writing and verifying take: the steps, how many pairs there are and were sampled, how many of those have a
    text that passes the filters (None where nothing was asked), and requests of the sample that failed, by reason."""

    pairs: int
    sampled: int
    accepted: int | None
    steps: list[StepPlan]
    failed: Counter[str]


def plan(workspace: Workspace, settings: Settings, size: int, prices: Mapping[str, Price], load: Load | None) -> Plan:
    """Take a sample along the chains. Answers go into the run's store, where the run finds them; what a store has is
    not asked. Without `load` nothing is asked: answers are made up, and forgotten.

    Raises ConfigurationError where there are no pairs, and what `load` raises.
    """
    found = find_pairs(workspace, size)
    if not found.sample:
        raise ConfigurationError(f"{workspace.path} has no pairs yet: run `lensmith mine-pairs` on it first.")
    stores = Stores.of(settings.write_instructions, workspace.path)
    with tempfile.TemporaryDirectory() as scratch:
        asking = _Asking(
            workspace,
            Folder(scratch) if load is None else Folder(f"{stores.own.rstrip('/')}/{PARTS}"),
            load or (lambda config: StandIn(config.model)),
            None if load is None else _stored(workspace, stores),
        )
        return _Planning(workspace, settings, prices, found, asking, made_up=load is None).plan()


def _stored(workspace: Workspace, stores: Stores) -> StoredAnswers:
    """A look into all stores of the run."""
    files = stores.files(workspace.path)

    def answers(wanted: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        ids, known = frozenset(wanted), dict[str, Mapping[str, Any]]()
        for path, name in files:
            if not ids.isdisjoint(one for one, _ in answer_ids(Folder(path), name)):
                for row in read_answers_of(Folder(path), name, ids):
                    known.setdefault(row["request_id"], row)
        return known

    return answers


@dataclass(frozen=True)
class _Asking:
    workspace: Workspace
    folder: Folder
    load: Load
    stored: StoredAnswers | None

    def run(self, found: Sequence[Mapping[str, Any]], chain: Chain) -> ChainResult:
        images = shown_images(self.workspace, find_places(self.workspace, image_ids_of(found)))
        return run_rows(found, chain, self.folder, self.load, images, self.stored)


@dataclass
class _Planning:
    workspace: Workspace
    settings: Settings
    prices: Mapping[str, Price]
    found: Found
    asking: _Asking
    made_up: bool
    steps: list[StepPlan] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    #: Whether a step has shown images so far, and whether any step has asked.
    seen: bool = False
    begun: bool = False
    #: Images and pairs whose requests failed: they and what waits for them tell nothing.
    lost: set[Key] = field(default_factory=set)

    def plan(self) -> Plan:
        writing, chain = self.settings.write_instructions, make_chain(self.settings.write_instructions)
        pairs = [row for _, row in self.found.sample]
        result = self.asking.run(pairs, chain)
        written = CollectedOutcomes()
        write_triplets(result.rows, writing.filters, written)
        write_image_texts(result.rows, chain, written)
        self._add("write_instructions", result, pairs)
        triplets = [_made_up(row) for row in pairs] if self.made_up else written.rows("triplets")
        judges = make_chain(self.settings.verify_triplets)
        if judges.links:
            judged = self.asking.run(self._judged(triplets, written.rows("written_captions")), judges)
            self._add("verify_triplets", judged, pairs)
        return Plan(self.found.pairs, len(pairs), None if self.made_up else len(triplets), self.steps, self.failed)

    def _judged(
        self, triplets: Sequence[Mapping[str, Any]], captions: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """The rows that judges take, as the job makes them."""
        verify = self.settings.verify_triplets
        more = judging_columns(verify, self.settings.write_instructions.filters)
        shards = {row["pair_id"]: key for key, row in self.found.sample}
        lookalikes: dict[str, Lookalikes] = {}
        told = {row["image_id"]: row["text"] for row in captions}
        found: list[dict[str, Any]] = []
        for triplet in triplets:
            key = shards[triplet["pair_id"]]
            if key not in lookalikes:
                manifest = self.workspace.manifests("mine_pairs", [key])[0]
                lookalikes[key] = Lookalikes(rows(self.workspace, manifest, "eligible", COLUMNS))
            others = lookalikes[key].of(triplet["page_id"], triplet["query_image_id"], triplet["target_image_id"])
            found += [row | more for row in judged_rows(triplet, others, told, verify.verify)]
        return found

    def _add(self, stage: str, result: ChainResult, pairs: Sequence[Mapping[str, Any]]) -> None:
        """The steps of a chain. What failed, and what waits for it, is left out of the sample."""
        lost = _lost(result)
        for run in result.steps:
            self.seen = self.seen or any(question.ask.image_ids for question in run.questions)
            for question in run.questions:
                reasons = [lost[one.request_id] for one in question.requests if one.request_id in lost]
                self.failed.update(reasons)
                self.lost |= {question.key} if reasons else set()
            keys: dict[Key, Key] = {(row["pair_id"],): couple(row) for row in pairs if not self.lost & _image_keys(row)}
            if run.link.step.unit == "image":
                keys = {key: key for row in pairs for key in sorted(_image_keys(row))}
            # Without real answers nobody knows whether a later step would have anything to ask.
            unknown = self.made_up and self.begun and not run.questions
            units = self.found.units(run.link.step.unit, self.seen)
            price = self.prices.get(run.link.config.model)
            counted = {key: drawn for key, drawn in keys.items() if not unknown and key not in self.lost}
            self.steps.append(plan_step(stage, run, counted, units, price, at_most=self.made_up))
            self.begun = self.begun or bool(run.questions)


def _made_up(pair: Mapping[str, Any]) -> dict[str, Any]:
    return {**pair, "triplet_id": pair["pair_id"], "instruction": TEXT, "instructions": [{"text": TEXT}]}


def _image_keys(row: Mapping[str, Any]) -> set[Key]:
    return {(row["page_id"], row[f"{side}_image_id"]) for side in SIDES}


def _lost(result: ChainResult) -> dict[str, str]:
    """Requests without an answer that may have one another time, with the reason."""
    told = [*result.outcomes.rows("rejected"), *result.outcomes.rows("deferred")]
    kinds = {row["id"]: row["reason"] for row in told if row["unit"] == "request"}
    deferred = {row["id"] for row in result.outcomes.rows("deferred")}
    return {name: reason for name, reason in kinds.items() if reason.startswith("error:") or name in deferred}
