"""Crops searched among the whole images of the corpus: the lists of neighbours that each crop of a group has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from beam_jobs.corpus.crops import CropsJob
from beam_jobs.corpus.groups import Group
from beam_jobs.corpus.lists import ListColumns, id_bytes, joined
from beam_jobs.corpus.search import VERSION as SEARCH_VERSION
from beam_jobs.corpus.search import ViewPlan, read_index
from beam_jobs.corpus.search_plan import Lists
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches
from beam_jobs.workspace import Manifest, Workspace
from mining.miners.instances import VIEW
from mining.search.index import PartSearch
from mining.search.vectors import ImageColumns, ViewVectors, view_vectors

VERSION = "1"
#: Crops that are searched and written together.
_BLOCK = 4096
#: How the views begin that crops have in lists.
CROP_VIEW = "crop "


def crop_view(number: int) -> str:
    """The view under which the lists of an image's crop stand."""
    return f"{CROP_VIEW}{number}"


@dataclass(frozen=True)
class CropSearchJob:
    """Searches one part of the corpus for the crops of one group: rows of `neighbours`, in the order of the crops. The
    image that a crop is of is left out."""

    workspace: Workspace
    stage: str = "mine_pairs.crop_search"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """`index` in the work is the file of an approximate index of the whole images, as their own search has it."""
        plan: ViewPlan = shard.work["plan"]
        part = view_vectors(VIEW, shard.work["part"].columns(self.workspace, [VIEW]))
        names = id_bytes(part.ids)
        search = PartSearch(part, read_index(self.workspace, shard.work["index"]), plan.probes)
        for manifest in self.workspace.manifests(CropsJob.stage, shard.work["crops"]):
            columns = ["image_id", "number", "sketch"]
            for batch in batches(self.workspace, manifest.files.get("crops", ()), columns, rows=_BLOCK):
                crops = _vectors(batch)
                lengths, places, scores = search.places(crops, plan.k)
                found = ListColumns(crops.ids, lengths, names[places], scores)
                views = [crop_view(number) for number in batch.column("number").to_pylist()]
                writer.columns("neighbours", _named(found, pa.array(views, pa.string())))


@dataclass(frozen=True)
class CropJoinJob:
    """Puts together what all parts gave for the crops of one group."""

    workspace: Workspace
    stage: str = "mine_pairs.crop_neighbours"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `neighbours`, in the order of the crops."""
        manifests = self.workspace.manifests(CropSearchJob.stage, shard.work["searches"])
        parts = [batches(self.workspace, one.files.get("neighbours", ()), rows=_BLOCK) for one in manifests]
        # Parts are written in blocks of one size, so that their batches hold the same crops.
        for blocks in zip(*parts, strict=True):
            found = joined([ListColumns.of(one) for one in blocks], shard.work["k"])
            writer.columns("neighbours", _named(found, blocks[0].column("view")))


def _vectors(batch: pa.RecordBatch) -> ViewVectors:
    """Crops as the view of whole images has those, under the ids of their images."""
    sketches = np.stack([np.frombuffer(one, np.int8) for one in batch.column("sketch").to_pylist()])
    ids = batch.column("image_id").to_pylist()
    nothing = np.zeros((0, 0), np.float32)
    # No sketch of a crop is all zeros: none is left out here.
    return view_vectors(VIEW, ImageColumns(ids, sketches, np.zeros(0, np.uint64), (), nothing))


def _named(found: ListColumns, views: pa.Array) -> pa.Table:
    """Rows of `neighbours` with a view for each."""
    table = found.table(VIEW)
    place = table.schema.get_field_index("view")
    return table.set_column(place, table.schema.field(place), views)


def search_crops(
    session: Session, lists: Lists, crops: Mapping[int, Manifest], neighbours: int, models: str
) -> dict[int, Manifest]:
    """The lists of all crops: number of a group → its manifest, of those whose images were looked at. `crops`: number
    of a shard of pages → its crops; `models`: digest of what made the vectors."""
    workspace = session.workspace
    plan = replace(lists.plans[VIEW], k=neighbours)
    searches: dict[int, list[Shard]] = {}
    for group in lists.groups:
        own = crops_of(group, crops)
        told = [text for one in own for text in (one.key, one.digest)]
        for part in lists.groups if own else ():
            key = session.shard_key(
                CropSearchJob.stage, VERSION, SEARCH_VERSION, *told, part.digest(VIEW), *plan.parts, models
            )
            index = lists.filled[VIEW].get(part.number)
            work = {"plan": plan, "crops": [one.key for one in own], "part": part, "index": index}
            searches.setdefault(group.number, []).append(Shard(key, work))
    session.shards(CropSearchJob(workspace), [one for some in searches.values() for one in some])
    joins = []
    for some in searches.values():
        keys = [one.key for one in some]
        key = session.shard_key(CropJoinJob.stage, VERSION, *keys, str(neighbours))
        joins.append(Shard(key, {"searches": keys, "k": neighbours}))
    return dict(zip(searches, session.shards(CropJoinJob(workspace), joins), strict=True))


def crops_of(group: Group, crops: Mapping[int, Manifest]) -> list[Manifest]:
    """The crops of the images that a group searches for, in the order in which they are searched."""
    return [crops[one.number] for one in group.shards if one.number in crops]
