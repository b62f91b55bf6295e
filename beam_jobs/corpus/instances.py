"""Job `mine_pairs.instances`: objects of images found again in their nearest neighbours, from the files themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.corpus.find import found_row
from beam_jobs.corpus.search import JoinJob, lists_of
from beam_jobs.corpus.search_plan import Lists
from beam_jobs.image_places import ImagePlace, ImageReader, ImageSource, image_sources
from beam_jobs.index_step import NO_ANSWERS, Answers, Message, answer_map
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.workspace import Manifest, Workspace
from mining.mine_config import MineConfig
from mining.miners.instances import VIEW, FileFeatures, Instances
from schemas.ids import canonical_json, digest

VERSION = "1"


@dataclass(frozen=True)
class ListedImages:
    """Where the files lie of the images that a group's lists name."""

    workspace: Workspace
    neighbours: int
    name: str = "listed_images"
    #: The beginning of the views whose lists are meant.
    view: str = VIEW

    def messages(self, task: ImageSource | tuple[int, Manifest]) -> Iterator[Message]:
        """Images with their places; images that a group's lists name."""
        if isinstance(task, ImageSource):
            yield from task.messages(self.workspace)
            return
        number, manifest = task
        wanted: set[str] = set()
        for image_id, lists in lists_of(self.workspace, manifest):
            for view, near in lists.items():
                if view.startswith(self.view):
                    wanted.update((image_id, *near.ids[: self.neighbours]))
        for image_id in sorted(wanted):
            yield image_id, asker(number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first place."""
        if values:
            yield from ((one, values[0]) for one in askers)


@dataclass(frozen=True)
class InstancesJob:
    """Compares the images of one group with their neighbours: rows of `found`."""

    workspace: Workspace
    config: MineConfig
    stage: str = "mine_pairs.instances"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Files of strangers are decoded in a child process."""
        arguments = (self, shard.key, writer.attempt, shard.work)
        writer.take(child("instances").call("beam_jobs.corpus.instances:find_in_child", *arguments))


def file_reader(
    workspace: Workspace, places: Answers, mark: Callable[[str], None], quarantine: Mapping[str, str]
) -> Callable[[str], bytes | None]:
    """Reads an image's file by its id in a child process, marked before; None for one without a place, or whose
    decoding ended a child. `places`: answers of `ListedImages`."""
    placed = answer_map(workspace, places.path)
    reader = ImageReader(workspace, {image_id: ImagePlace.unpack(value) for image_id, value in placed.items()})

    def read(image_id: str) -> bytes | None:
        if image_id in quarantine or image_id not in placed:
            return None
        mark(image_id)
        return reader.fetch([image_id])[image_id]

    return read


def find_in_child(
    job: InstancesJob, key: str, attempt: str, work: Mapping[str, Any], *, mark: Any, quarantine: Mapping[str, str]
) -> WrittenShard:
    """A group's instances. An image whose decoding ended the child is one without features."""
    workspace, config = job.workspace, job.config.instances
    writer = ShardWriter(workspace, job.stage, key, attempt)
    read = file_reader(workspace, work["places"], mark, quarantine)
    miner = Instances(config, FileFeatures(read, config.features))
    count = 0
    for image_id, lists in lists_of(workspace, workspace.manifests(JoinJob.stage, [work["joined"]])[0]):
        # Comparisons take their time too: a child that says nothing is taken for one that hangs.
        mark(image_id)
        for found in miner.find(image_id, lists, writer):
            count += 1
            writer.row("found", found_row(found, miner.name))
    writer.notes["found"] = {miner.name: count}
    return writer.close()


def find_instances(session: Session, lists: Lists, config: MineConfig) -> list[Manifest]:
    """What the miner `instances` finds: a manifest for each group."""
    workspace = session.workspace
    sources = image_sources(workspace)
    tasks: list[ImageSource | tuple[int, Manifest]] = list(enumerate(lists.joined))
    tasks += [ImageSource(number) for number in range(len(sources))]
    basis = digest("instances", canonical_json(sources), *(one.digest for one in lists.joined))
    places = session.index(ListedImages(workspace, config.instances.neighbours), tasks, basis)
    job = InstancesJob(workspace, config)
    planned = []
    for number, joined in enumerate(lists.joined):
        told = places.get(asker(number), NO_ANSWERS)
        parts = (joined.key, joined.digest, told.digest, config.instances.comparing)
        key = session.shard_key(job.stage, VERSION, *parts)
        planned.append(Shard(key, {"joined": joined.key, "places": told}))
    return session.shards(job, planned)
