"""Shard jobs: a map over planned shards on any Beam runner, whose manifests are the only commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

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
