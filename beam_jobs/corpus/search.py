"""Search for nearest neighbours: every part of the corpus is searched for every group of images, parts put together.

Nothing is shuffled: jobs read vectors from the tables, and lists of (image, neighbour, score) are tables too. Parts
that were searched before keep their manifests, so that additions search only what is new.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from beam_jobs.corpus.groups import Group, group_columns
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.miners.interface import Neighbours
from mining.search.index import PartSearch, fill, merge
from mining.search.vectors import ViewVectors, view_vectors
from mining.windows import ScoreCounts

VERSION = "2"
#: Images that are searched and written together.
_BLOCK = 1024


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
        part = view_vectors(plan.view, group_columns(self.workspace, shard.work["group"], [plan.view]))
        assert plan.trained is not None
        stored = b""
        if len(part.ids):
            with self.workspace.folder.open(plan.trained) as source:
                stored = fill(source.read(), part)
        name = f"_work/search/{plan.view}/part-{shard.key}.faiss"
        self.workspace.folder.create(name, stored)
        writer.notes["file"] = name


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
        stored = None
        if shard.work["index"] is not None:
            with self.workspace.folder.open(shard.work["index"]) as source:
                stored = source.read() or None
        search = PartSearch(held, stored, plan.probes)
        for first in range(0, len(queries.ids), _BLOCK):
            block = queries.take(range(first, min(first + _BLOCK, len(queries.ids))))
            for image_id, found in zip(block.ids, search.search(block, plan.k), strict=True):
                writer.row("neighbours", neighbours_row(image_id, plan.view, found))

    def _vectors(self, group: Group, plan: ViewPlan) -> ViewVectors:
        return view_vectors(plan.view, group_columns(self.workspace, group, [plan.view]))


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
        ordered = heapq.merge(*(rows(self.workspace, one, "neighbours") for one in manifests), key=_place)
        for (image_id, view), found in groupby(ordered, key=_place):
            joined = merge([neighbours_of(row) for row in found], max(lengths[view]))
            for k, counted in counts[view].items():
                counted.add(joined.scores[:k])
            writer.row("neighbours", neighbours_row(image_id, view, joined))
        writer.notes["scores"] = {
            view: {str(k): counted.to_json() for k, counted in one.items()} for view, one in counts.items()
        }


def neighbours_row(image_id: str, view: str, found: Neighbours) -> dict[str, Any]:
    """A row of `neighbours`."""
    ids = [bytes.fromhex(one) for one in found.ids]
    return {"image_id": image_id, "view": view, "ids": ids, "scores": list(found.scores)}


def neighbours_of(row: dict[str, Any]) -> Neighbours:
    """What `neighbours_row` wrote; scores are rounded anew, since float32 holds fewer digits."""
    return Neighbours(tuple(one.hex() for one in row["ids"]), tuple(round(score, 4) for score in row["scores"]))


def lists_of(workspace: Workspace, manifest: Manifest) -> Iterator[tuple[str, dict[str, Neighbours]]]:
    """The images of a joined group with their lists by view, sorted by id."""
    for image_id, found in groupby(rows(workspace, manifest, "neighbours"), key=lambda row: str(row["image_id"])):
        yield image_id, {row["view"]: neighbours_of(row) for row in found}


def take_ids(vectors: ViewVectors, ids: Sequence[str]) -> ViewVectors:
    """The vectors of some ids (sorted), of those that have one."""
    places = ((one, bisect_left(vectors.ids, one)) for one in ids)
    return vectors.take([place for one, place in places if place < len(vectors.ids) and vectors.ids[place] == one])


def _place(row: dict[str, Any]) -> tuple[str, str]:
    return row["image_id"], row["view"]
