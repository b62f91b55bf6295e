"""The last job of `mine_pairs` over a corpus: the chosen candidates of a source as rows of `pairs` and `eligible`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.corpus.choose import COLUMNS, judged
from beam_jobs.corpus.compose import Source
from beam_jobs.corpus.images import PAGES_JOB, PagesShard
from beam_jobs.corpus.places import read_places
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from mining.mine_config import MineConfig
from mining.pair_columns import pages_of_pairs
from mining.place_columns import PlaceColumns
from schemas.corpus_tables import CANDIDATES

VERSION = "2"
#: Rows that are read and written together.
_BLOCK = 4096


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
        kept: list[int] = []
        found_by: dict[int, tuple[str, str | None]] = {}
        chosen = judged(self.workspace, source, self.config, steps, self.quotas, (*COLUMNS, "pair_id", "page_url"))
        for number, (row, reason, _) in enumerate(chosen):
            writer.entered("pair")
            if reason is not None:
                writer.rejected("pair", reason, id=row["pair_id"], url=row["page_url"], detail=row["mining_details"])
                continue
            if "found_by" in row:
                found_by[len(kept)] = row["found_by"], row["mining_details"]
            kept.append(number)
        writer.kept("pair", len(kept))
        writer.out("pair", len(kept))
        pairs = _with_miners(self._candidates(source, kept), found_by)
        shown = self._images(source, pairs)
        # Blocks of whole pages: a sorted copy of all pairs would double what they take.
        order = pc.sort_indices(pairs, [("page_id", "ascending"), ("pair_id", "ascending")])
        for first, last in _blocks(pairs["page_id"].take(order)):
            block = pairs.take(order.slice(first, last - first))
            writer.columns("pairs", block)
            if shown is not None:
                writer.columns("eligible", pages_of_pairs(block, shown))
        if source.pages is not None:
            self._copy_images(source.pages, pc.unique(pairs["page_id"]), writer)

    def _candidates(self, source: Source, numbers: list[int]) -> pa.Table:
        """Rows of the source's candidates by their numbers."""
        manifest = self.workspace.manifests(source.job, [source.key])[0]
        wanted, first, found = np.array(numbers, np.int64), 0, [CANDIDATES.schema.empty_table()]
        for batch in batches(self.workspace, manifest.files.get("candidates", ()), rows=_BLOCK):
            here = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, first + len(batch))] - first
            found.append(pa.Table.from_batches([batch.take(pa.array(here))]).cast(CANDIDATES.schema))
            first += len(batch)
        return pa.concat_tables(found).combine_chunks()

    def _images(self, source: Source, pairs: pa.Table) -> PlaceColumns | None:
        """The places of all images that composed pairs name."""
        if source.pages is not None:
            return None
        names = ("query_image_id", "target_image_id")
        named = [chunk for name in names for chunk in pairs[name].chunks]
        named += [chunk.flatten() for chunk in pairs["hard_negatives"].chunks]
        wanted = set(pc.unique(pa.chunked_array(named, pa.string())).to_pylist())
        return read_places(self.workspace, self.shards, source.places, wanted)

    def _copy_images(self, key: str, pages: pa.Array, writer: ShardWriter) -> None:
        """The images of some pages of one shard, as they stand in its table."""
        manifest = self.workspace.manifests(PAGES_JOB, [key])[0]
        for batch in batches(self.workspace, manifest.files.get("eligible", ()), rows=_BLOCK):
            shown = pa.Table.from_batches([batch]).filter(pc.is_in(batch["page_id"], pages))
            if len(shown):
                writer.columns("eligible", shown)


def _blocks(page_ids: pa.ChunkedArray) -> Iterator[tuple[int, int]]:
    """Begins and ends of blocks of whole pages; `page_ids` are sorted."""
    names = np.array(page_ids.to_pylist(), "S32")
    first = 0
    for last in [*(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]:
        if last - first >= _BLOCK or first < last == len(names):
            yield first, last
            first = last


def _with_miners(pairs: pa.Table, found_by: Mapping[int, tuple[str, str | None]]) -> pa.Table:
    """The pairs with the names and words of all miners that found them."""
    if not found_by:
        return pairs
    for place, name in enumerate(("mining", "mining_details")):
        values = pairs[name].to_pylist()
        for row, said in found_by.items():
            values[row] = said[place]
        pairs = pairs.set_column(pairs.schema.get_field_index(name), pairs.schema.field(name), pa.array(values))
    return pairs
