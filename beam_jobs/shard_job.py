"""Shard jobs: a map over planned shards on any Beam runner, whose manifests are the only commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import apache_beam as beam

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace


@dataclass(frozen=True)
class Shard:
    """One unit of work: its key and whatever the job needs to do it (plain values: it travels to workers)."""

    key: str
    work: dict[str, Any] = field(default_factory=dict)


class ShardJob(Protocol):
    """What a stage does with one shard. Implementations are picklable dataclasses in importable modules."""

    @property
    def stage(self) -> str:
        """Name of the stage, as manifests and the funnel have it."""

    @property
    def workspace(self) -> Workspace:
        """The output folder."""

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Do the work and report to `writer`, which is committed afterwards."""


class RunShard(beam.DoFn):
    """Looks for the shard's manifest first, so that a restart of the engine redoes nothing that is done."""

    def __init__(self, job: ShardJob) -> None:
        self._job = job

    def process(self, shard: Shard) -> Iterator[str]:
        run_one(self._job, shard)
        yield shard.key


def run_one(job: ShardJob, shard: Shard) -> None:
    """Run and commit one shard unless its manifest is there."""
    if job.workspace.manifest(job.stage, shard.key) is not None:
        return
    writer = ShardWriter(job.workspace, job.stage, shard.key)
    try:
        job.run(shard, writer)
        writer.commit()
    except BaseException:
        writer.discard()
        raise


@dataclass
class ShardMap(beam.PTransform):
    """All shards that are not committed yet, spread over the workers."""

    job: ShardJob
    shards: Sequence[Shard]

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        return (
            pipeline
            | "Shards" >> beam.Create(list(self.shards), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Run" >> beam.ParDo(RunShard(self.job))
        )
