"""One run over an output folder: runs shard jobs and index steps that are not done yet, and notes what is in force."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from beam_jobs.index_step import Answers, IndexStep, answers_folder, find_answers
from beam_jobs.shard_job import Shard, ShardJob
from beam_jobs.workspace import Manifest, Workspace, basis_of, stage_of
from schemas.errors import ConfigurationError, RunFailedError
from schemas.ids import digest

if TYPE_CHECKING:
    import apache_beam as beam

_log = logging.getLogger(__name__)
_ROUNDS = "_work/rounds.json"


class Engine(Protocol):
    """Runs one transform to its end as a pipeline of its own; raises RunFailedError if the pipeline fails."""

    @property
    def runner(self) -> str:
        """Name of the runner."""

    @property
    def workers(self) -> int:
        """How many processes work at once, as far as the runner's options tell; else 1."""

    def run(self, label: str, transform: beam.PTransform) -> None:
        """`label` names the pipeline's only step."""


@dataclass
class Progress:
    """What a watcher wants to know: the job in hand, its shards, and which of them were done before."""

    job: str = ""
    shards: tuple[str, ...] = ()
    begin: Callable[[str, Sequence[str]], None] | None = None
    say: Callable[[str], None] = _log.info

    def start(self, job: str, shards: Sequence[str]) -> None:
        """A job begins: its name and the keys of all its shards; an index step has none."""
        self.job, self.shards = job, tuple(shards)
        if self.begin is not None:
            self.begin(job, shards)


@dataclass
class Session:
    """What stages need of a run. `forced` stages are done again; `retry_failed` takes up failed and deferred units."""

    workspace: Workspace
    engine: Engine
    forced: frozenset[str] = frozenset()
    retry_failed: bool = False
    #: The stages that may do work; none named lets all. What stands before them must be done.
    working: frozenset[str] = frozenset()
    progress: Progress = field(default_factory=Progress)
    #: Index checkpoints and jobs that this run named; its last act drops all others of the same stages.
    used_answers: set[str] = field(default_factory=set)
    in_force: dict[str, list[str]] = field(default_factory=dict)
    #: Shards that this run had to do, by job.
    worked: dict[str, int] = field(default_factory=dict)

    def force(self) -> None:
        """Give the shards of forced stages new keys, once at the beginning of a run. One that goes on where a forced
        run was cut off keeps the keys of that one, or it would never come to an end."""
        rounds = self._rounds()
        for stage in sorted(self.forced - set(rounds.get("forcing", ()))):
            rounds["force"][stage] = rounds["force"].get(stage, 0) + 1
        if self.forced or rounds.get("forcing"):
            self._store(rounds | {"forcing": sorted(self.forced)})

    def end_forcing(self) -> None:
        """The run has come to its end, a good one or not: the next `force` begins a new round."""
        rounds = self._rounds()
        if rounds.get("forcing"):
            self._store(rounds | {"forcing": []})

    def shard_key(self, job: str, *parts: str) -> str:
        """The key of a shard: what it is made from, and how many times its stage was forced."""
        forced = self.forced_times(job)
        return digest("shard", job, *parts, *([f"force {forced}"] if forced else []))[:32]

    def forced_times(self, job: str) -> int:
        """How many times the stage of a job was forced in this output folder."""
        return int(self._rounds()["force"].get(stage_of(job), 0))

    def shards(self, job: ShardJob, planned: Sequence[Shard], lanes: int | None = None) -> list[Manifest]:
        """Run what is missing of a plan; with `retry_failed`, shards with failures of the stages that may work again;
        manifests in plan order.

        `lanes`: no more than so many shards at once, whatever the number of workers."""
        rounds = self._rounds()["retry"].setdefault(job.stage, {})
        current = [_in_round(shard, rounds.get(shard.key, 0)) for shard in planned]
        self.run(job, current, lanes)
        manifests = self.workspace.manifests(job.stage, [shard.key for shard in current])
        if self.retry_failed and (not self.working or stage_of(job.stage) in self.working):
            again = [first.key for first, manifest in zip(planned, manifests, strict=True) if _has_failures(manifest)]
            if again:
                stored = self._rounds()
                for key in again:
                    stored["retry"].setdefault(job.stage, {})[key] = rounds.get(key, 0) + 1
                self._store(stored)
                rounds = stored["retry"][job.stage]
                current = [_in_round(shard, rounds.get(shard.key, 0)) for shard in planned]
                self.run(job, current, lanes)
                manifests = self.workspace.manifests(job.stage, [shard.key for shard in current])
        self.set_in_force(job.stage, manifests)
        return manifests

    def missing(self, job: str, planned: Sequence[Shard]) -> list[Shard]:
        """The shards of a plan that have no manifest yet, whichever round of retries they are in."""
        rounds, done = self._rounds()["retry"].get(job, {}), self.workspace.committed(job)
        return [shard for shard in planned if _in_round(shard, rounds.get(shard.key, 0)).key not in done]

    def let_go(self, stage: str, jobs: Collection[str]) -> None:
        """Of the jobs of a stage none but these, and the one named as the stage, has a result any more."""
        for name in self.workspace.jobs_in_force(stage):
            if name != stage and name not in jobs:
                self.workspace.end_force(name)

    def run(self, job: ShardJob, shards: Sequence[Shard], lanes: int | None = None) -> None:
        """Run the shards that have no manifest yet, as one pipeline; none is no pipeline."""
        done = self.workspace.committed(job.stage)
        missing = [shard for shard in shards if shard.key not in done]
        stage = stage_of(job.stage)
        if missing and self.working and stage not in self.working:
            command = stage.replace("_", "-")
            raise ConfigurationError(
                f"{stage} is not done with these settings: run `lensmith {command}` first, or `lensmith run`."
            )
        before = self.workspace.in_force(job.stage)
        if missing and before and not self.retry_failed:
            self.progress.say(
                f"{job.stage}: inputs or settings changed, {len(missing)} of {len(shards)} shards are to do."
            )
        self.progress.start(job.stage, [shard.key for shard in shards])
        self.worked[job.stage] = self.worked.get(job.stage, 0) + len(missing)
        if missing:
            from beam_jobs.transforms import ShardMap

            self.engine.run(job.stage, ShardMap(job, missing, lanes))
            done = self.workspace.committed(job.stage)
            lost = sum(shard.key not in done for shard in missing)
            if lost:
                raise RunFailedError(
                    f"the runner ended {job.stage} without {lost} of its {len(missing)} shards: the same command does "
                    "what is missing."
                )

    def set_in_force(self, job: str, manifests: Sequence[Manifest]) -> None:
        """Note which manifests stand for the job's result."""
        keys = [manifest.key for manifest in manifests]
        self.in_force[job] = keys
        # A job without shards has a result too: nothing.
        if self.workspace.in_force(job) != keys or not (keys or self.workspace.has_run(job)):
            self.workspace.set_in_force(job, keys, basis_of(manifests))

    def index(self, step: IndexStep, tasks: Sequence[Any], key: str) -> dict[str, Answers]:
        """The answers of an index step by asker; the step runs unless its checkpoint is there."""
        folder = answers_folder(step.name, key)
        self.used_answers.add(folder)
        if not self.workspace.folder.exists(f"{folder}/done.json"):
            self.progress.start(f"index {step.name}", ())
            self.worked[step.name] = self.worked.get(step.name, 0) + 1
            if tasks:
                from beam_jobs.transforms import Exchange

                self.engine.run(f"index_{step.name}", Exchange(step, tasks, key))
            self.workspace.folder.create(f"{folder}/done.json", b"{}\n")
        return find_answers(self.workspace, step.name, key)

    def _rounds(self) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = self.workspace.folder.read_json(_ROUNDS)
        except FileNotFoundError:
            return {"force": {}, "retry": {}}
        return stored

    def _store(self, rounds: dict[str, Any]) -> None:
        self.workspace.folder.replace(_ROUNDS, json.dumps(rounds, indent=1, sort_keys=True).encode())


def asker(number: int) -> str:
    """Name of the shard that stands at `number` in its stage's plan, as index steps sort askers."""
    return f"{number:06d}"


def _in_round(shard: Shard, number: int) -> Shard:
    """The shard of a retry; `previous` in its work is the key of the one whose outcomes it supersedes."""
    if not number:
        return shard
    previous = _in_round(shard, number - 1).key
    return Shard(digest("retry", shard.key, str(number))[:32], shard.work | {"previous": previous})


def _has_failures(manifest: Manifest) -> bool:
    return any(entry.failed.total() or entry.deferred for entry in manifest.counts.units.values())
