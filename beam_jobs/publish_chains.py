"""Job `publish_dataset.chains`: chains of the triplets of each shard, split by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from publishing.chains import COLUMNS, chain_rows
from publishing.config import ChainsConfig
from publishing.statistics import DatasetStatistics
from schemas.published import SPLITS
from schemas.settings import settings_digest

CHAINS_JOB = "publish_dataset.chains"
VERSION = "1"


@dataclass(frozen=True)
class ChainsJob:
    """Chains the assigned triplets of one shard."""

    workspace: Workspace
    config: ChainsConfig
    stage: str = CHAINS_JOB

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `assigned_chains`; chains and turns by split go into the notes."""
        totals = {}
        statistics = DatasetStatistics()
        for split in SPLITS:
            counts: Counter[str] = Counter()
            for row in chain_rows(self._triplets(shard.work["key"], split), self.config):
                writer.row("assigned_chains", row | {"split": split})
                writer.out("chain")
                statistics.add_chain(row)
                counts.update(chains=1, turns=len(row["triplet_ids"]))
            totals[split] = [counts["chains"], counts["turns"]]
        writer.notes.update(totals=totals, statistics=statistics.to_json())

    def _triplets(self, key: str, split: str) -> Iterator[dict[str, Any]]:
        """Rows of a split; those of a page stand together."""
        manifest = self.workspace.manifests("publish_dataset", [key])[0]
        return (row for row in rows(self.workspace, manifest, "assigned", [*COLUMNS, "split"]) if row["split"] == split)


def run_chains(session: Session, assigned: Sequence[Manifest], config: ChainsConfig) -> list[Manifest]:
    """The manifests of the chains, one for each shard of triplets."""
    job = ChainsJob(session.workspace, config)
    planned = [
        Shard(session.shard_key(job.stage, VERSION, one.digest, settings_digest(config)), {"key": one.key})
        for one in assigned
    ]
    return session.shards(job, planned)
