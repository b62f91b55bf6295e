"""The transforms that an engine runs: a shard job's map and an index step's two groupings.

They alone import Beam, which takes seconds: child processes and commands that only look do without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from beam_jobs.index_step import IndexStep, answers_folder, resolve, tell, write_answers
from beam_jobs.shard_job import Shard, ShardJob, run_one
from beam_jobs.workspace import Workspace


class RunShard(beam.DoFn):
    """Looks for the shard's manifest first, so that a restart of the engine redoes nothing that is done."""

    def __init__(self, job: ShardJob) -> None:
        self._job = job

    def process(self, shards: tuple[Shard, ...]) -> Iterator[str]:
        for shard in shards:
            run_one(self._job, shard)
            yield shard.key


@dataclass
class ShardMap(beam.PTransform):
    """All shards that are not committed yet, spread over the workers; with `lanes`, in so many rows, each of which is
    done by one worker, one shard after the other."""

    job: ShardJob
    shards: Sequence[Shard]
    lanes: int | None = None

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        lanes = self.lanes or len(self.shards)
        elements = [tuple(self.shards[lane::lanes]) for lane in range(min(lanes, len(self.shards)))]
        return (
            pipeline
            | "Shards" >> beam.Create(elements, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Run" >> beam.ParDo(RunShard(self.job))
        )


class _Tell(beam.DoFn):
    def __init__(self, step: IndexStep) -> None:
        self._step = step

    def process(self, task: Any) -> Iterator[tuple[str, tuple[str, bytes]]]:
        yield from tell(self._step, task)


class _Resolve(beam.DoFn):
    def __init__(self, step: IndexStep) -> None:
        self._step = step

    def process(self, grouped: tuple[str, Iterable[tuple[str, bytes]]]) -> Iterator[tuple[str, tuple[str, bytes]]]:
        yield from resolve(self._step, *grouped)


class _WriteAnswers(beam.DoFn):
    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._workspace, self._folder = workspace, folder

    def process(self, grouped: tuple[str, Iterable[tuple[str, bytes]]]) -> Iterator[str]:
        write_answers(self._workspace, self._folder, *grouped)
        yield grouped[0]


@dataclass
class Exchange(beam.PTransform):
    """The two groupings of an index step."""

    step: IndexStep
    tasks: Sequence[Any]
    key: str

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        folder = answers_folder(self.step.name, self.key)
        return (
            pipeline
            | "Tasks" >> beam.Create(list(self.tasks), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Tell" >> beam.ParDo(_Tell(self.step)).with_output_types(tuple[str, tuple[str, bytes]])
            | "ByKey" >> beam.GroupByKey()
            | "Resolve" >> beam.ParDo(_Resolve(self.step)).with_output_types(tuple[str, tuple[str, bytes]])
            | "ByAsker" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_WriteAnswers(self.step.workspace, folder))
        )
