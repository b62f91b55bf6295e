"""Search for nearest neighbours: every part of the corpus is searched for every group of images, parts put together.

Nothing is shuffled: jobs read vectors from the tables, and lists of (image, neighbour, score) are tables too. Parts
that were searched before keep their manifests, so that additions search only what is new.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from beam_jobs.corpus.groups import Part
from beam_jobs.corpus.lists import ListColumns, by_image, id_bytes, joined, lists_of
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches
from beam_jobs.workspace import Manifest, Workspace
from mining.search.index import PartSearch, fill
from mining.search.vectors import ViewVectors, view_vectors
from mining.windows import ScoreCounts

VERSION = "2"
#: Images that are searched and written together.
_BLOCK = 4096


@dataclass(frozen=True)
class ViewPlan:
    """How one view is searched: k, and for an approximate index the file that holds it, trained, and its probes."""

    view: str
    k: int
    trained: str | None = None
    probes: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """What decides the result, for a shard's key."""
        return self.view, str(self.k), (self.trained or "exact").rsplit("/", 1)[-1], str(self.probes)


@dataclass(frozen=True)
class FillJob:
    """Fills the trained index of a view with one part, and stores it."""

    workspace: Workspace
    stage: str = "mine_pairs.index"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The file's name goes into the notes; it holds the shard's key, so that attempts cannot differ."""
        plan: ViewPlan = shard.work["plan"]
        part = view_vectors(plan.view, shard.work["group"].columns(self.workspace, [plan.view]))
        assert plan.trained is not None
        stored = b""
        if len(part.ids):
            with self.workspace.folder.open(plan.trained) as source:
                stored = fill(source.read(), part)
        name = f"_work/search/{plan.view}/part-{shard.key}.faiss"
        self.workspace.folder.create(name, stored)
        writer.notes["file"] = name


def read_index(workspace: Workspace, name: str | None) -> bytes | None:
    """What `FillJob` stored; None without a file, or for a part without vectors: the search is exact."""
    if name is None:
        return None
    with workspace.folder.open(name) as source:
        return source.read() or None


@dataclass(frozen=True)
class SearchJob:
    """Searches one part for one group in one view: rows of `neighbours`, sorted by image."""

    workspace: Workspace
    stage: str = "mine_pairs.search"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """`index` in the work is the file of an approximate index."""
        plan: ViewPlan = shard.work["plan"]
        group, part = shard.work["group"], shard.work["part"]
        queries = self._vectors(group, plan)
        held = queries if part.number == group.number else self._vectors(part, plan)
        search = PartSearch(held, read_index(self.workspace, shard.work["index"]), plan.probes)
        names = id_bytes(held.ids)
        for first in range(0, len(queries.ids), _BLOCK):
            block = queries.take(range(first, min(first + _BLOCK, len(queries.ids))))
            lengths, places, scores = search.places(block, plan.k)
            writer.columns("neighbours", ListColumns(block.ids, lengths, names[places], scores).table(plan.view))

    def _vectors(self, part: Part, plan: ViewPlan) -> ViewVectors:
        return view_vectors(plan.view, part.columns(self.workspace, [plan.view]))


@dataclass(frozen=True)
class JoinJob:
    """Puts the lists of all parts and views together for one group, and counts the scores that stand in them."""

    workspace: Workspace
    stage: str = "mine_pairs.neighbours"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `neighbours`, sorted by image and view; the counts of the scores in the first k of each list go into
        the notes, by view and k."""
        lengths: dict[str, tuple[int, ...]] = shard.work["lengths"]
        counts = {view: {k: ScoreCounts() for k in wanted} for view, wanted in lengths.items()}
        manifests = self.workspace.manifests(SearchJob.stage, shard.work["searches"])
        for block in by_image(self._joined(manifests, {view: max(wanted) for view, wanted in lengths.items()})):
            for view, found in block.items():
                ranks = np.arange(len(found.scores)) - np.repeat(found.starts[:-1], found.lengths)
                for k, counted in counts[view].items():
                    counted.add(found.scores[ranks < k])
            table = pa.concat_tables([found.table(view) for view, found in block.items()])
            writer.columns("neighbours", table.sort_by([("image_id", "ascending"), ("view", "ascending")]))
        writer.notes["scores"] = {
            view: {str(k): counted.to_json() for k, counted in one.items()} for view, one in counts.items()
        }

    def _joined(self, manifests: Sequence[Manifest], lengths: Mapping[str, int]) -> dict[str, Iterator[ListColumns]]:
        """The lists of each view, those of all parts put together. All parts were searched for the same images."""
        readers: dict[str, list[Iterator[ListColumns]]] = {}
        for one in manifests:
            found = batches(self.workspace, one.files.get("neighbours", ()), rows=_BLOCK)
            first = next(found, None)
            if first is not None:
                view = first.column("view")[0].as_py()
                readers.setdefault(view, []).append(map(ListColumns.of, chain([first], found)))
        return {view: _put_together(parts, lengths[view]) for view, parts in readers.items()}


def _put_together(parts: Sequence[Iterator[ListColumns]], k: int) -> Iterator[ListColumns]:
    # Parts are written in blocks of one size, so that their batches hold the same images.
    for blocks in zip(*parts, strict=True):
        yield joined(blocks, k)


def take_ids(vectors: ViewVectors, ids: Sequence[str]) -> ViewVectors:
    """The vectors of some ids (sorted), of those that have one."""
    places = ((one, bisect_left(vectors.ids, one)) for one in ids)
    return vectors.take([place for one, place in places if place < len(vectors.ids) and vectors.ids[place] == one])


__all__ = ["FillJob", "JoinJob", "SearchJob", "ViewPlan", "lists_of", "take_ids"]
