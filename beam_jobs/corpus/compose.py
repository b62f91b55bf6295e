"""Job `mine_pairs.compose`: found pairs of ids to rows of `candidates`, with the facts of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from beam_jobs.corpus.images import PagesShard, read_places
from beam_jobs.index_step import Answers
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.corpus_pairs import corpus_pair, near_duplicate_pair
from mining.mine_config import MineConfig

VERSION = "1"


@dataclass(frozen=True)
class ComposeJob:
    """Joins what one source found with the places that stand for its images."""

    workspace: Workspace
    config: MineConfig
    shards: tuple[PagesShard, ...]
    stage: str = "mine_pairs.compose"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows in the order in which they were found. Reason of the unit `pair`: `near_duplicates`."""
        places = read_places(self.workspace, self.shards, shard.work["places"])
        manifest = self.workspace.manifests(shard.work["job"], [shard.work["key"]])[0]
        for found in rows(self.workspace, manifest, "found"):
            if near_duplicate_pair(found, places, self.config):
                images = f"{found['query_image_id']} {found['target_image_id']}"
                writer.entered("pair")
                writer.rejected("pair", "near_duplicates", id=images, detail=f"{found['miner']}: {found['why']}")
                continue
            writer.row("candidates", corpus_pair(found, places, self.config))


@dataclass(frozen=True)
class Source:
    """A shard of candidates, of single pages (`pages` is the key of their shard) or composed (`places` are those of
    its images); `known`: the answers of the steps of choice so far."""

    number: int
    job: str
    key: str
    digest: str
    pages: str | None = None
    places: Answers | None = None
    known: Sequence[tuple[str, Answers]] = ()

    def answers(self, name: str) -> Answers | None:
        """The answers of one step, None where it was not run or had none."""
        return next((found for step, found in self.known if step == name), None)
