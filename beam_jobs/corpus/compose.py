"""Job `mine_pairs.compose`: found pairs of ids to rows of `candidates`, with the facts of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from beam_jobs.corpus.images import PagesShard
from beam_jobs.corpus.places import read_places
from beam_jobs.index_step import Answers
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from mining.mine_config import MineConfig
from mining.miners.make import final_window
from mining.pair_columns import corpus_pairs, near_duplicate_pairs
from mining.place_columns import PlaceColumns
from mining.similarity import DECIMALS

VERSION = "1"
#: Found pairs that are composed and written together.
_BLOCK = 4096


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
        for found in batches(self.workspace, manifest.files.get("found", ()), rows=_BLOCK):
            pairs = corpus_pairs(found, places, self.config)
            reasons = self._reasons(found, pairs, places)
            kept = pairs.filter(pa.array([reason is None for reason in reasons]))
            if len(kept):
                writer.columns("candidates", kept)
            told = (pairs[name].to_pylist() for name in ("pair_id", "page_url", "mining_details"))
            for reason, pair_id, page_url, details in zip(reasons, *told, strict=True):
                if reason is not None:
                    writer.entered("pair")
                    writer.rejected("pair", reason, id=pair_id, url=page_url, detail=details)

    def _reasons(self, found: pa.RecordBatch, pairs: pa.Table, places: PlaceColumns) -> list[str | None]:
        alike = near_duplicate_pairs(found, places, self.config)
        miners, similar = found["miner"].to_pylist(), pairs["visual_similarity"].to_pylist()
        windows = {name: final_window(name, self.config) for name in set(miners)}
        reasons: list[str | None] = []
        for same, miner, score in zip(alike.tolist(), miners, similar, strict=True):
            window = windows[miner]
            outside = window is not None and round(score, DECIMALS) not in window
            reasons.append("near_duplicates" if same else "outside_window" if outside else None)
        return reasons


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
