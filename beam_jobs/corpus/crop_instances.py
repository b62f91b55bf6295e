"""Job `mine_pairs.crop_instances`: objects that a detector cut out of images, found again in what their crops found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from beam_jobs.corpus.crop_search import CROP_VIEW, CropJoinJob, crop_view, crops_of, search_crops
from beam_jobs.corpus.crops import CropsJob, find_crops
from beam_jobs.corpus.find import found_row
from beam_jobs.corpus.images import PagesShard
from beam_jobs.corpus.instances import InstancesJob, ListedImages, file_reader
from beam_jobs.corpus.search import lists_of
from beam_jobs.corpus.search_plan import Lists
from beam_jobs.image_places import ImageSource, image_sources
from beam_jobs.index_step import NO_ANSWERS
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.annotation import AnnotateConfig
from mining.matched_regions import DECIMALS
from mining.mine_config import MineConfig
from mining.miners.crop_instances import Crop, CropFeatures, CropInstances
from mining.miners.instances import FileFeatures
from mining.miners.interface import Neighbours
from schemas.ids import canonical_json, digest
from schemas.settings import settings_digest

VERSION = "1"
_COLUMNS = ["image_id", "number", "label", "score", "box"]


@dataclass(frozen=True)
class CropInstancesJob:
    """Compares the crops of one group with what they found: rows of `found`, no pair of which `InstancesJob` has."""

    workspace: Workspace
    config: MineConfig
    stage: str = "mine_pairs.crop_instances"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Files of strangers are decoded in a child process."""
        arguments = (self, shard.key, writer.attempt, shard.work)
        writer.take(child("instances").call("beam_jobs.corpus.crop_instances:find_in_child", *arguments))


def find_in_child(
    job: CropInstancesJob, key: str, attempt: str, work: Mapping[str, Any], *, mark: Any, quarantine: Mapping[str, str]
) -> WrittenShard:
    """A group's instances by crops. An image whose decoding ended the child is one without features."""
    workspace, config = job.workspace, job.config.instances
    writer = ShardWriter(workspace, job.stage, key, attempt)
    read = file_reader(workspace, work["places"], mark, quarantine)
    known: dict[str, list[str]] = {}
    before = workspace.manifests(InstancesJob.stage, [work["instances"]])[0]
    for row in rows(workspace, before, "found", ["query_image_id", "target_image_id"]):
        known.setdefault(row["query_image_id"], []).append(row["target_image_id"])
    features = FileFeatures(read, config.features)
    miner = CropInstances(config, features, CropFeatures(read, config.features))
    count = 0
    for image_id, crops, lists in _searched(workspace, work):
        mark(image_id)
        for found in miner.find(image_id, crops, lists, known.get(image_id, ()), writer):
            count += 1
            writer.row("found", found_row(found, miner.name))
    writer.notes["found"] = {miner.name: count}
    return writer.close()


def _searched(
    workspace: Workspace, work: Mapping[str, Any]
) -> Iterator[tuple[str, Sequence[Crop], Sequence[Neighbours]]]:
    """The images of a group with their crops and the lists of these, which stand in one order."""
    joined = workspace.manifests(CropJoinJob.stage, [work["joined"]])[0]
    found = (
        row
        for one in workspace.manifests(CropsJob.stage, work["crops"])
        for row in rows(workspace, one, "crops", _COLUMNS)
    )
    by_image = groupby(found, key=lambda row: str(row["image_id"]))
    for (image_id, some), (listed, lists) in zip(by_image, lists_of(workspace, joined), strict=True):
        assert image_id == listed, "crops and their lists are written in one order"
        crops = [_crop(row) for row in some]
        yield image_id, crops, [lists[crop_view(one.number)] for one in crops]


def _crop(row: Mapping[str, Any]) -> Crop:
    # Columns of float32 hold a little more or less than the 4 decimals that were written.
    x, y, width, height = (round(value, DECIMALS) for value in row["box"])
    return Crop(row["number"], row["label"], round(row["score"], DECIMALS), (x, y, width, height))


def find_crop_instances(
    session: Session,
    shards: Sequence[PagesShard],
    lists: Lists,
    instances: Sequence[Manifest],
    config: MineConfig,
    models: AnnotateConfig,
) -> list[Manifest]:
    """What the miner `instances` finds by crops, beside what it found (`instances`, a manifest for each group)."""
    workspace = session.workspace
    crops = find_crops(session, shards, config.instances.crops, models)
    joined = search_crops(session, lists, crops, config.instances.neighbours, settings_digest(models))
    sources = image_sources(workspace)
    tasks: list[ImageSource | tuple[int, Manifest]] = list(joined.items())
    tasks += [ImageSource(number) for number in range(len(sources))]
    basis = digest("crop instances", canonical_json(sources), *(one.digest for one in joined.values()))
    step = ListedImages(workspace, config.instances.neighbours, "listed_crops", CROP_VIEW)
    # Where similarities alone decide no file is read.
    places = session.index(step, tasks, basis) if config.instances.crops.verify == "geometry" else {}
    job = CropInstancesJob(workspace, config)
    settings = settings_digest(config.instances)
    planned = []
    for group in lists.groups:
        if group.number in joined:
            one, before = joined[group.number], instances[group.number]
            own, told = crops_of(group, crops), places.get(asker(group.number), NO_ANSWERS)
            parts = (one.key, one.digest, before.key, before.digest, *(each.digest for each in own), told.digest)
            work = {"joined": one.key, "instances": before.key, "crops": [each.key for each in own], "places": told}
            planned.append(Shard(session.shard_key(job.stage, VERSION, *parts, settings), work))
    return session.shards(job, planned)
