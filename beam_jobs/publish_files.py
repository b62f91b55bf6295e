"""Jobs of `publish_dataset` that write its parquet files: what goes into each, and the bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.image_places import ImagePlace, ImageReader
from beam_jobs.index_step import Answers, read_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.publish_chains import CHAINS_JOB
from beam_jobs.publish_index import ImageRow, ImagesById, addresses
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.tables import rows
from beam_jobs.workspace import DataFile, Manifest, Workspace, basis_of
from publishing.config import PublishConfig
from publishing.dataset_writer import write_file
from publishing.faces import publishing_fetch
from publishing.layout import TEXT_ROW, Estimate, Part, chain_bytes, empty_file, plan_files
from schemas.outcomes import Counts
from schemas.published import CHAINS, CONFIGURATIONS, IMAGES, PUBLISHED, SPLITS, Configuration
from schemas.settings import settings_digest

FILES_VERSION = "3"
FILES_JOB = "publish_dataset.files"
#: Where finished parquet files lie until they are linked or copied into `dataset/`.
FILES_FOLDER = "_work/dataset_files"


@dataclass(frozen=True)
class FileTask:
    """One parquet file to write. `parts` name shards of triplets or chains by number, or ranges of images by answers
    file."""

    configuration: str
    split: str
    name: str
    parts: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class FilesJob:
    """Writes one parquet file of the dataset."""

    workspace: Workspace
    config: PublishConfig
    stage: str = FILES_JOB

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The file lies below `_work` under a name of its own attempt."""
        task: FileTask = shard.work["task"]
        configuration = CONFIGURATIONS[task.configuration]
        if configuration is IMAGES:
            chosen, places = self._images(task)
            writer.entered("image", len(chosen))
            writer.kept("image", len(chosen))
            writer.out("image", len(chosen))
            table: Iterable[Mapping[str, Any]] = chosen
        elif configuration is CHAINS:
            places, table = {}, self._rows(task, shard.work["assigned"], CHAINS_JOB, "assigned_chains")
        else:
            places = self._places(shard.work["assigned"]) if configuration.image_columns else {}
            table = self._rows(task, shard.work["assigned"], "publish_dataset", "assigned")
        reader = ImageReader(self.workspace, places)
        name = f"{FILES_FOLDER}/{shard.key[:16]}-{writer.attempt}.parquet"
        fetch = publishing_fetch(reader.fetch, self.config.blur_faces if configuration.image_columns else "none")
        written = write_file(self.workspace.folder, name, configuration, table, fetch, self.config)
        data = DataFile(name, written.rows, written.bytes, written.digest)
        writer.take(WrittenShard({"dataset_files": [data]}, Counts().to_json(), {"blurred": written.blurred}))

    def _rows(self, task: FileTask, keys: Sequence[str], job: str, table: str) -> Iterator[Mapping[str, Any]]:
        for name, start, stop in task.parts:
            manifest = self.workspace.manifests(job, [keys[int(name)]])[0]
            number = 0
            for row in rows(self.workspace, manifest, table):
                if row["split"] == task.split:
                    if start <= number < stop:
                        yield row
                    number += 1

    def _places(self, keys: Sequence[str]) -> dict[str, ImagePlace]:
        places: dict[str, ImagePlace] = {}
        for key in keys:
            manifest = self.workspace.manifests("publish_dataset", [key])[0]
            for row in rows(self.workspace, manifest, "assigned_images"):
                places[row["image_id"]] = ImagePlace(row["source"], row["file"], row["row"], row["bytes"])
        return places

    def _images(self, task: FileTask) -> tuple[list[dict[str, Any]], dict[str, ImagePlace]]:
        chosen: list[dict[str, Any]] = []
        places: dict[str, ImagePlace] = {}
        for path, start, stop in task.parts:
            for number, (image_id, data) in enumerate(read_answers(self.workspace, path)):
                if start <= number < stop:
                    row = ImageRow.unpack(image_id, data)
                    places[image_id] = row.place
                    chosen.append({"image_id": image_id, "url": row.url, "license": row.license})
        long = addresses(self.workspace, {row["image_id"]: places[row["image_id"]] for row in chosen if not row["url"]})
        return [row | {"url": row["url"] or long[row["image_id"]]} for row in chosen], places


def write_files(
    session: Session, assigned: Sequence[Manifest], chained: Sequence[Manifest], config: PublishConfig
) -> list[tuple[FileTask, Manifest]]:
    """Plan the dataset's files from the shards of triplets, and of chains where the configuration has them, and write
    those that are missing: tasks with manifests."""
    workspace = session.workspace
    tasks = [LocateTask(one.stage, one.key, number) for number, one in enumerate(assigned)]
    ranges = session.index(ImagesById(workspace), tasks, basis_of(assigned))
    files: list[tuple[FileTask, tuple[str, ...]]] = []
    for configuration in PUBLISHED:
        if configuration.name == "triplets" and not config.include_bytes:
            continue
        if configuration is IMAGES:
            files += _image_files(workspace, ranges, config)
        elif configuration is CHAINS:
            files += _chain_files(chained, config) if config.chains is not None else []
        else:
            files += _triplet_files(configuration, assigned, config)
    job = FilesJob(workspace, config)
    shards = []
    for task, numbers in files:
        of_chains = task.configuration == CHAINS.name
        source = chained if of_chains else assigned
        keys = tuple(source[int(number)].key for number in numbers)
        content = [source[int(number)].digest for number in numbers]
        if task.configuration == "images":
            content = [path.rpartition("/")[2] for path, _, _ in task.parts]
        # Parts are renumbered, so that a shard's task names only what it reads.
        own = {number: str(index) for index, number in enumerate(numbers)}
        parts = tuple((own.get(name, name), start, stop) for name, start, stop in task.parts)
        cut = [f"{start}-{stop}" for _, start, stop in parts]
        settings = settings_digest(config if of_chains else config.without_chains)
        key = session.shard_key(job.stage, FILES_VERSION, task.configuration, task.split, settings, *content, *cut)
        local = FileTask(task.configuration, task.split, task.name, parts)
        shards.append(Shard(key, {"task": local, "assigned": keys}))
    manifests = session.shards(job, shards)
    return [(task, manifest) for (task, _), manifest in zip(files, manifests, strict=True)]


def _triplet_files(
    configuration: Configuration, assigned: Sequence[Manifest], config: PublishConfig
) -> list[tuple[FileTask, tuple[str, ...]]]:
    """The files of `triplets` or `ids`, each with the numbers of the shards that it reads."""
    estimates = []
    for split in SPLITS:
        for number, manifest in enumerate(assigned):
            count, size = manifest.notes["totals"][split]
            estimates.append(
                Estimate(str(number), split, count, size if configuration.image_columns else count * TEXT_ROW)
            )
    return _tasks(configuration, estimates, config)


def _chain_files(chained: Sequence[Manifest], config: PublishConfig) -> list[tuple[FileTask, tuple[str, ...]]]:
    """The files of `chains`, each with the numbers of the shards that it reads."""
    estimates = []
    for split in SPLITS:
        for number, manifest in enumerate(chained):
            count, turns = manifest.notes["totals"][split]
            estimates.append(Estimate(str(number), split, count, chain_bytes(turns)))
    return _tasks(CHAINS, estimates, config)


def _image_files(
    workspace: Workspace, ranges: Mapping[str, Answers], config: PublishConfig
) -> list[tuple[FileTask, tuple[str, ...]]]:
    estimates = []
    for name in sorted(ranges):
        path = ranges[name].path
        size = sum(ImageRow.unpack(image_id, data).place.size for image_id, data in read_answers(workspace, path))
        estimates.append(Estimate(str(path), name.partition("-")[0], ranges[name].weight, size))
    return [(task, ()) for task, _ in _tasks(IMAGES, estimates, config)]


def _tasks(
    configuration: Configuration, estimates: Iterable[Estimate], config: PublishConfig
) -> list[tuple[FileTask, tuple[str, ...]]]:
    def task(name: str, split: str, parts: Sequence[Part]) -> tuple[FileTask, tuple[str, ...]]:
        made = FileTask(configuration.name, split, name, tuple((one.shard, one.start, one.stop) for one in parts))
        return made, tuple(dict.fromkeys(one.shard for one in parts))

    planned = plan_files(configuration.folder, estimates, config.target_bytes)
    if not planned:
        return [task(empty_file(configuration.folder), "train", ())]
    return [task(one.name, one.split, one.parts) for one in planned]
