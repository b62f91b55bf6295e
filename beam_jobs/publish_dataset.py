"""Job `publish_dataset`: splits, the parquet files of all configurations, and the dataset put in place at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.image_places import ImagePlace, ImageReader, image_sources
from beam_jobs.index_step import Answers, read_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.publish_index import (
    ImageRow,
    ImagesById,
    ImageSplits,
    NearDuplicates,
    NearDuplicateTask,
    SplitTask,
    addresses,
    moved_images,
    none_if_missing,
    published_images,
    splits_of,
)
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.tables import rows
from beam_jobs.workspace import DataFile, Manifest, Workspace, basis_of
from publishing.config import PublishConfig
from publishing.dataset_writer import sort_key, write_file
from publishing.description import Description, Facts, PublishedFile
from publishing.documents import documents
from publishing.finish import StagedFile, check_target, replace_dataset
from publishing.layout import TEXT_ROW, Estimate, Part, StoredBytes, empty_file, plan_files
from publishing.splits import split_of_unit, split_unit
from publishing.statistics import DatasetStatistics
from publishing.tombstones import Tombstones, read_tombstones
from schemas.ids import digest
from schemas.outcomes import Counts, Outcomes
from schemas.published import IMAGES, PUBLISHED, SPLITS, Configuration
from schemas.settings import settings_digest
from schemas.storage import Folder

VERSION = "2"
FILES_JOB = "publish_dataset.files"
#: Where finished parquet files lie until they are linked or copied into `dataset/`.
FILES_FOLDER = "_work/dataset_files"
_CONFIGURATIONS = {one.name: one for one in PUBLISHED}
#: Rounds of near duplicates: each takes in one more link of a chain, and chains are short.
_ROUNDS = 10


@dataclass(frozen=True)
class AssignJob:
    """Gives the triplets of one shard their split, and drops those whose images belong to another one."""

    workspace: Workspace
    config: PublishConfig
    tombstones: Tombstones
    stage: str = "publish_dataset"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `assigned` and `assigned_images`; counts of rows and bytes by split go into the notes."""
        images = published_images(self.workspace, shard.work["splits"])
        splits = splits_of(images, moved_images(self.workspace, shard.work["moved"]))
        long = {name: one.place for name, one in images.items() if one.url is None}
        urls = {name: one.url for name, one in images.items()} | addresses(self.workspace, long)
        manifest = self.workspace.manifests("verify_triplets", [shard.work["key"]])[0]
        sizes = {name: one.place.size for name, one in images.items()}
        statistics = DatasetStatistics()
        totals = {split: [0, 0] for split in SPLITS}
        stored = {split: StoredBytes() for split in SPLITS}
        named: dict[str, str | None] = {}
        for row in sorted(rows(self.workspace, manifest, "verified"), key=sort_key):
            split = self._assign(row, splits, urls, writer)
            if split is None:
                continue
            kept = [one for one in row["hard_negatives"] if splits.get(one) == split and self._allowed(one, urls)]
            row["hard_negatives"] = kept
            writer.row("assigned", row | {"split": split})
            statistics.add(split, row)
            totals[split][0] += 1
            totals[split][1] += stored[split].of_row(row, sizes)
            for image_id in (row["query_image_id"], row["target_image_id"], *kept):
                named[image_id] = named.get(image_id) or row["license"]
        for image_id in sorted(named):
            one = images[image_id]
            place = {"source": one.place.source, "file": one.place.file, "row": one.place.row, "bytes": one.place.size}
            entry = {"image_id": image_id, "split": splits[image_id], "url": urls[image_id], "license": named[image_id]}
            writer.row("assigned_images", entry | place)
        writer.notes.update(totals=totals, statistics=statistics.to_json())

    def _assign(
        self, row: Mapping[str, Any], splits: Mapping[str, str], urls: Mapping[str, str | None], outcomes: Outcomes
    ) -> str | None:
        """The split of a triplet, None if it is dropped: `taken_down`, `crosses_split`."""
        outcomes.entered("triplet")
        unit = split_unit(self.config, row["site"], row["page_url"])
        split = split_of_unit(self.config.seed, unit, self.config.shares)
        both = (row["query_image_id"], row["target_image_id"])
        own = [splits.get(one) for one in both]
        reason = None
        if self.tombstones.covers_triplet(row) or not all(self._allowed(one, urls) for one in both):
            reason = "taken_down"
        elif own != [split, split]:
            reason = "crosses_split"
        if reason is not None:
            detail = f"page {split}, images {own[0]} and {own[1]}" if reason == "crosses_split" else None
            outcomes.rejected("triplet", reason, id=row["triplet_id"], url=row["page_url"], detail=detail)
            return None
        outcomes.kept("triplet")
        outcomes.out("triplet")
        return split

    def _allowed(self, image_id: str, urls: Mapping[str, str | None]) -> bool:
        return not self.tombstones.covers_image(image_id, urls.get(image_id))


@dataclass(frozen=True)
class FileTask:
    """One parquet file to write. `parts` name shards of triplets by number, or ranges of images by answers file."""

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
        configuration = _CONFIGURATIONS[task.configuration]
        if configuration is IMAGES:
            chosen, places = self._images(task)
            writer.entered("image", len(chosen))
            writer.kept("image", len(chosen))
            writer.out("image", len(chosen))
            table: Iterable[Mapping[str, Any]] = chosen
        else:
            places = self._places(shard.work["assigned"]) if configuration.image_columns else {}
            table = self._triplets(task, shard.work["assigned"])
        reader = ImageReader(self.workspace, places)
        name = f"{FILES_FOLDER}/{shard.key[:16]}-{writer.attempt}.parquet"
        written = write_file(self.workspace.folder, name, configuration, table, reader.fetch, self.config)
        data = DataFile(name, written.rows, written.bytes, written.digest)
        writer.take(WrittenShard({"dataset_files": [data]}, Counts().to_json(), {}))

    def _triplets(self, task: FileTask, keys: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for name, start, stop in task.parts:
            manifest = self.workspace.manifests("publish_dataset", [keys[int(name)]])[0]
            number = 0
            for row in rows(self.workspace, manifest, "assigned"):
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


@dataclass(frozen=True)
class Publication:
    """What is said of a dataset beside its rows. `funnel` is called when all counts of the run are in force."""

    owner: str
    facts: Facts
    funnel: Callable[[], Mapping[str, Any]]


def run_publish(
    session: Session,
    mined: Sequence[Manifest],
    verified: Sequence[Manifest],
    config: PublishConfig,
    publication: Publication,
) -> Description:
    """Publish the verified triplets as `dataset/`; another run's dataset there is refused."""
    workspace = session.workspace
    target = Folder(f"{workspace.path.rstrip('/')}/dataset")
    check_target(target, publication.owner)
    tombstones = read_tombstones(target, Folder(f"{workspace.path.rstrip('/')}/_work"))
    assigned = _assign(session, mined, verified, config, tombstones)
    files = _write_files(session, assigned, config)
    statistics = DatasetStatistics()
    for manifest in assigned:
        statistics.merge(DatasetStatistics.from_json(manifest.notes["statistics"]))
    staged = []
    for task, manifest in files:
        data = manifest.files["dataset_files"][0]
        published = PublishedFile(task.configuration, task.split, task.name, data.rows, data.bytes, data.digest)
        staged.append(StagedFile(workspace.folder.at(data.path), published))
    about = Description(
        publication.owner,
        config,
        publication.facts,
        tuple(one.file for one in staged),
        statistics,
        publication.funnel(),
    )
    replace_dataset(target, publication.owner, staged, documents(about, tombstones))
    return about


def _assign(
    session: Session,
    mined: Sequence[Manifest],
    verified: Sequence[Manifest],
    config: PublishConfig,
    tombstones: Tombstones,
) -> list[Manifest]:
    workspace = session.workspace
    sources = image_sources(workspace)
    holders = [workspace.manifests(job, [key])[0] for job, key in sources]
    settings = settings_digest(config)
    basis = basis_of([*mined, *holders], settings, VERSION)
    shards = [LocateTask(one.stage, one.key, number) for number, one in enumerate(mined)]
    tasks = [SplitTask(one) for one in shards]
    tasks += [SplitTask(LocateTask(job, key), number) for number, (job, key) in enumerate(sources)]
    splits = session.index(ImageSplits(workspace, config), tasks, basis)
    asked = [none_if_missing(splits, asker(number)) for number in range(len(mined))]
    rounds = _promotions(session, shards, asked, config, basis)
    job = AssignJob(workspace, config, tombstones)
    planned = []
    for number, one in enumerate(verified):
        promoted = [none_if_missing(moved, asker(number)) for moved in rounds]
        parts = (one.digest, asked[number].digest, *(moved.digest for moved in promoted), settings)
        key = session.shard_key(job.stage, VERSION, *parts, digest(tombstones.to_bytes()))
        moved = tuple(one.path for one in promoted)
        planned.append(Shard(key, {"key": one.key, "splits": asked[number].path, "moved": moved}))
    return session.shards(job, planned)


def _promotions(
    session: Session, shards: Sequence[LocateTask], asked: Sequence[Answers], config: PublishConfig, basis: str
) -> list[Mapping[str, Answers]]:
    """Rounds in which images follow their near duplicates to a stricter split, until none does any more."""
    rounds: list[Mapping[str, Answers]] = []
    while len(rounds) < _ROUNDS:
        before = [tuple(none_if_missing(one, asker(number)).path for one in rounds) for number in range(len(shards))]
        near = [
            NearDuplicateTask(one, answers.path, paths)
            for one, answers, paths in zip(shards, asked, before, strict=True)
        ]
        key = basis if not rounds else digest("round", str(len(rounds)), basis)
        moved = session.index(NearDuplicates(session.workspace, config), near, key)
        if not moved:
            break
        rounds.append(moved)
    return rounds


def _write_files(
    session: Session, assigned: Sequence[Manifest], config: PublishConfig
) -> list[tuple[FileTask, Manifest]]:
    workspace = session.workspace
    tasks = [LocateTask(one.stage, one.key, number) for number, one in enumerate(assigned)]
    ranges = session.index(ImagesById(workspace), tasks, basis_of(assigned))
    files: list[tuple[FileTask, tuple[str, ...]]] = []
    for configuration in PUBLISHED:
        if configuration.name == "triplets" and not config.include_bytes:
            continue
        if configuration is IMAGES:
            files += _image_files(workspace, ranges, config)
        else:
            files += _triplet_files(configuration, assigned, config)
    job = FilesJob(workspace, config)
    shards = []
    for task, numbers in files:
        keys = tuple(assigned[int(number)].key for number in numbers)
        content = [assigned[int(number)].digest for number in numbers]
        if task.configuration == "images":
            content = [path.rpartition("/")[2] for path, _, _ in task.parts]
        # Parts are renumbered, so that a shard's task names only what it reads.
        own = {number: str(index) for index, number in enumerate(numbers)}
        parts = tuple((own.get(name, name), start, stop) for name, start, stop in task.parts)
        cut = [f"{start}-{stop}" for _, start, stop in parts]
        key = session.shard_key(
            job.stage, VERSION, task.configuration, task.split, settings_digest(config), *content, *cut
        )
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
