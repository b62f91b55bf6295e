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
from mining.miners.make import final_window

VERSION = "1"


@dataclass(frozen=True)
class ComposeJob:
    """Joins what one source found with the places that stand for its images."""

    workspace: Workspace
    config: MineConfig
    shards: tuple[PagesShard, ...]
    stage: str = "mine_pairs.compose"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows in the order in which they were found. Reasons of the unit `pair`: `near_duplicates`,
        `outside_window` (at a meeting images show but a short sketch)."""
        places = read_places(self.workspace, self.shards, shard.work["places"])
        manifest = self.workspace.manifests(shard.work["job"], [shard.work["key"]])[0]
        for found in rows(self.workspace, manifest, "found"):
            row = corpus_pair(found, places, self.config)
            window = final_window(found["miner"], self.config)
            reason = None
            if near_duplicate_pair(found, places, self.config):
                reason = "near_duplicates"
            elif window is not None and row["visual_similarity"] not in window:
                reason = "outside_window"
            if reason is None:
                writer.row("candidates", row)
            else:
                writer.entered("pair")
                writer.rejected("pair", reason, id=row["pair_id"], url=row["page_url"], detail=row["mining_details"])


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
