"""The last job of `mine_pairs` over a corpus: the chosen candidates of a source as rows of `pairs` and `eligible`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from beam_jobs.corpus.choose import judged
from beam_jobs.corpus.compose import Source
from beam_jobs.corpus.images import PAGES_JOB, PagesShard, read_places
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.corpus_pairs import page_of_pairs
from mining.mine_config import MineConfig

VERSION = "2"


@dataclass(frozen=True)
class ChosenPairs:
    """Writes what caps and quotas leave, page by page."""

    workspace: Workspace
    config: MineConfig
    shards: tuple[PagesShard, ...]
    quotas: Mapping[str, int]
    stage: str = "mine_pairs"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Reasons of the unit `pair`: `duplicate_pair` (stands for another page or miner already), `query_cap`,
        `target_cap`, `cluster_cap`, `site_cap`, `host_cap`, `quota`."""
        source: Source = shard.work["source"]
        steps = tuple(self.config.caps.given)
        kept: list[dict[str, Any]] = []
        for row, reason, _ in judged(self.workspace, source, self.config, steps, self.quotas):
            writer.entered("pair")
            if reason is not None:
                writer.rejected("pair", reason, id=row["pair_id"], url=row["page_url"], detail=row["mining_details"])
                continue
            kept.append({**row, "mining": row.get("found_by", row["mining"])})
        writer.kept("pair", len(kept))
        writer.out("pair", len(kept))
        kept.sort(key=lambda row: (row["page_id"], row["pair_id"]))
        for row in kept:
            row.pop("found_by", None)
            writer.row("pairs", row)
        for row in self._eligible(source, kept):
            writer.row("eligible", row)

    def _eligible(self, source: Source, kept: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        """Images of the pages of the pairs that are left, pages in the order of the pairs."""
        if source.pages is not None:
            pages = {row["page_id"] for row in kept}
            manifest = self.workspace.manifests(PAGES_JOB, [source.pages])[0]
            yield from (row for row in rows(self.workspace, manifest, "eligible") if row["page_id"] in pages)
            return
        named = {one for row in kept for one in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"])}
        places = read_places(self.workspace, self.shards, source.places, named)
        for page_id, pairs in groupby(kept, key=lambda row: str(row["page_id"])):
            yield from page_of_pairs(page_id, list(pairs), places)
