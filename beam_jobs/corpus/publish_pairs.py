"""The last job of `mine_pairs` over a corpus: the chosen candidates of a source as rows of `pairs` and `eligible`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.corpus.choose import COLUMNS, judged, pair_key
from beam_jobs.corpus.compose import Source
from beam_jobs.corpus.images import PAGES_JOB, PagesShard, rows_of_places
from beam_jobs.corpus.mistakes import pair_negatives
from beam_jobs.corpus.places import read_places
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from mining.corpus_pairs import harder
from mining.mine_config import MineConfig
from mining.pair_columns import pages_of_pairs
from mining.place_columns import PlaceColumns, unsearched
from schemas.corpus_tables import CANDIDATES

VERSION = "3"
#: Rows that are read and written together.
_BLOCK = 4096
#: What the other miners of a pair may add to its row.
_ADDED = ("mining_details", "query_box", "target_box")


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
        added: dict[int, dict[str, Any]] = {}
        wrong = pair_negatives(self.workspace, source)
        chosen = judged(self.workspace, source, self.config, steps, self.quotas, (*COLUMNS, "pair_id", "page_url"))
        for number, (row, reason, _) in enumerate(chosen):
            writer.entered("pair")
            if reason is not None:
                writer.rejected("pair", reason, id=row["pair_id"], url=row["page_url"], detail=row["mining_details"])
                continue
            if "found_by" in row:
                added[len(kept)] = {"mining": row["found_by"], **{name: row[name] for name in _ADDED}}
            kept.append(number)
        writer.kept("pair", len(kept))
        writer.out("pair", len(kept))
        pairs = _with_added(self._candidates(source, kept), added)
        pairs = self._with_harder(pairs, wrong)
        shown = self._images(source, pairs)
        there: dict[str, set[str]] = {}
        # Blocks of whole pages: a sorted copy of all pairs would double what they take.
        order = pc.sort_indices(pairs, [("page_id", "ascending"), ("pair_id", "ascending")])
        for first, last in _blocks(pairs["page_id"].take(order)):
            block = pairs.take(order.slice(first, last - first))
            writer.columns("pairs", block)
            if shown is not None:
                _write_images(pages_of_pairs(block, shown), writer, there if wrong else None)
        if source.pages is not None:
            self._copy_images(source.pages, pc.unique(pairs["page_id"]), writer, there if wrong else None)
        for place in self._elsewhere(pairs, wrong, there):
            writer.row("negative_images", place)

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

    def _with_harder(self, pairs: pa.Table, wrong: Mapping[str, Mapping[str, bytes]]) -> pa.Table:
        """The pairs with a model's wrong answers before their other hard negatives, where it gave any."""
        if not wrong:
            return pairs
        names = ["query_image_id", "target_image_id", "hard_negatives"]
        told = [harder(row, wrong.get(pair_key(row), {}), self.config) for row in pairs.select(names).to_pylist()]
        return _with_column(pairs, "hard_negatives", told)

    def _elsewhere(
        self, pairs: pa.Table, wrong: Mapping[str, Mapping[str, bytes]], shown: Mapping[str, Collection[str]]
    ) -> Iterator[Mapping[str, Any]]:
        """The wrong answers of a model that the page of their pair does not show, each once, sorted by id: publishing
        asks which split they are in, and nothing else must take them for images of the page."""
        places: dict[str, bytes] = {}
        names = ["page_id", "query_image_id", "target_image_id", "hard_negatives"]
        for row in pairs.select(names).to_pylist() if wrong else ():
            named = set(row["hard_negatives"]) - set(shown.get(row["page_id"], ()))
            places |= {one: place for one, place in wrong.get(pair_key(row), {}).items() if one in named}
        found = rows_of_places(self.workspace, self.shards, places)
        yield from (found[one] for one in sorted(found))

    def _copy_images(self, key: str, pages: pa.Array, writer: ShardWriter, there: dict[str, set[str]] | None) -> None:
        """The images of some pages of one shard, as they stand in its table but for what only a search reads."""
        manifest = self.workspace.manifests(PAGES_JOB, [key])[0]
        for batch in batches(self.workspace, manifest.files.get("eligible", ()), rows=_BLOCK):
            shown = pa.Table.from_batches([batch]).filter(pc.is_in(batch["page_id"], pages))
            if len(shown):
                _write_images(unsearched(shown), writer, there)


def _blocks(page_ids: pa.ChunkedArray) -> Iterator[tuple[int, int]]:
    """Begins and ends of blocks of whole pages; `page_ids` are sorted."""
    names = np.array(page_ids.to_pylist(), "S32")
    first = 0
    for last in [*(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]:
        if last - first >= _BLOCK or first < last == len(names):
            yield first, last
            first = last


def _write_images(images: pa.Table, writer: ShardWriter, there: dict[str, set[str]] | None) -> None:
    """Rows of `eligible`; `there`, if asked for, notes which images each page shows."""
    writer.columns("eligible", images)
    if there is not None:
        for page_id, image_id in zip(*(images[name].to_pylist() for name in ("page_id", "image_id")), strict=True):
            there.setdefault(page_id, set()).add(image_id)


def _with_added(pairs: pa.Table, added: Mapping[int, Mapping[str, Any]]) -> pa.Table:
    """The pairs with the names, words and boxes of all miners that found them."""
    if not added:
        return pairs
    for name in ("mining", *_ADDED):
        values = pairs[name].to_pylist()
        for row, said in added.items():
            values[row] = said[name]
        pairs = _with_column(pairs, name, values)
    return pairs


def _with_column(pairs: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = pairs.schema.get_field_index(name)
    return pairs.set_column(place, pairs.schema.field(name), pa.array(values, pairs.schema.field(name).type))
