"""Job `publish_dataset`: splits, the parquet files of all configurations, and the dataset put in place at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beam_jobs.image_places import image_sources
from beam_jobs.index_step import Answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.publish_chains import CHAINS_JOB, run_chains
from beam_jobs.publish_files import FILES_JOB, write_files
from beam_jobs.publish_index import (
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
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.fingerprints import Fingerprints
from mining.decontamination.read import absolute_files, digests_of_files
from publishing.config import PublishConfig
from publishing.dataset_writer import sort_key
from publishing.description import Description, Facts, PublishedFile
from publishing.documents import documents
from publishing.finish import StagedFile, check_target, replace_dataset
from publishing.layout import StoredBytes
from publishing.splits import split_of_unit, split_unit
from publishing.statistics import DatasetStatistics
from publishing.tombstones import Tombstones, read_tombstones
from schemas.ids import digest
from schemas.outcomes import Outcomes
from schemas.published import SPLITS
from schemas.settings import settings_digest
from schemas.storage import Folder

VERSION = "2"
#: Rounds of near duplicates: each takes in one more link of a chain, and chains are short.
_ROUNDS = 10


@dataclass(frozen=True)
class AssignJob:
    """Gives the triplets of one shard their split, and drops those whose images belong to another one."""

    workspace: Workspace
    config: PublishConfig
    tombstones: Tombstones
    #: Benchmarks whose texts may stand in no triplet.
    checked: DecontaminationConfig = field(default_factory=DecontaminationConfig)
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
        fingerprints = Fingerprints.open(self.checked)
        for row in sorted(rows(self.workspace, manifest, "verified"), key=sort_key):
            split = self._assign(row, splits, urls, fingerprints, writer)
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
        self,
        row: dict[str, Any],
        splits: Mapping[str, str],
        urls: Mapping[str, str | None],
        fingerprints: Fingerprints,
        outcomes: Outcomes,
    ) -> str | None:
        """The split of a triplet, None if it is dropped: `taken_down`, `crosses_split`, `in_benchmark` (its best text
        says what a benchmark's says). Further texts that do leave the row, as the unit `text`."""
        outcomes.entered("triplet")
        unit = split_unit(self.config, row["site"], row["page_url"])
        split = split_of_unit(self.config.seed, unit, self.config.shares)
        both = (row["query_image_id"], row["target_image_id"])
        own = [splits.get(one) for one in both]
        reason, detail = None, None
        benchmark = fingerprints.match_text(row["instruction"])
        if self.tombstones.covers_triplet(row) or not all(self._allowed(one, urls) for one in both):
            reason = "taken_down"
        elif own != [split, split]:
            reason, detail = "crosses_split", f"page {split}, images {own[0]} and {own[1]}"
        elif benchmark is not None:
            reason, detail = "in_benchmark", f"{benchmark}: {row['instruction']}"
        if reason is not None:
            outcomes.rejected("triplet", reason, id=row["triplet_id"], url=row["page_url"], detail=detail)
            return None
        outcomes.kept("triplet")
        outcomes.out("triplet")
        row["instructions"] = list(_unchecked_texts(row, fingerprints, outcomes))
        return split

    def _allowed(self, image_id: str, urls: Mapping[str, str | None]) -> bool:
        return not self.tombstones.covers_image(image_id, urls.get(image_id))


def _unchecked_texts(
    row: Mapping[str, Any], fingerprints: Fingerprints, outcomes: Outcomes
) -> Iterator[dict[str, Any]]:
    """The texts of a triplet without those of benchmarks."""
    for text in row["instructions"]:
        benchmark = fingerprints.match_text(text["text"])
        if benchmark is None:
            yield text
        else:
            outcomes.entered("text")
            outcomes.rejected("text", "in_benchmark", id=row["triplet_id"], detail=f"{benchmark}: {text['text']}")


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
    checked: DecontaminationConfig | None = None,
) -> Description:
    """Publish the verified triplets as `dataset/`; another run's dataset there is refused. `checked`: benchmarks whose
    texts are left out."""
    workspace = session.workspace
    target = Folder(f"{workspace.path.rstrip('/')}/dataset")
    check_target(target, publication.owner)
    tombstones = read_tombstones(target, Folder(f"{workspace.path.rstrip('/')}/_work"))
    assigned = _assign(session, mined, verified, config, tombstones, checked or DecontaminationConfig())
    session.let_go("publish_dataset", {FILES_JOB} if config.chains is None else {FILES_JOB, CHAINS_JOB})
    chained = run_chains(session, assigned, config.chains) if config.chains is not None else []
    files = write_files(session, assigned, chained, config)
    statistics = DatasetStatistics()
    for manifest in (*assigned, *chained):
        statistics.merge(DatasetStatistics.from_json(manifest.notes["statistics"]))
    staged = []
    for task, manifest in files:
        data = manifest.files["dataset_files"][0]
        published = PublishedFile(
            task.configuration, task.split, task.name, data.rows, data.bytes, data.digest, manifest.notes["blurred"]
        )
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
    checked: DecontaminationConfig,
) -> list[Manifest]:
    workspace = session.workspace
    sources = image_sources(workspace)
    holders = [workspace.manifests(job, [key])[0] for job, key in sources]
    settings = settings_digest(config.without_chains)
    basis = basis_of([*mined, *holders], settings, VERSION)
    shards = [LocateTask(one.stage, one.key, number) for number, one in enumerate(mined)]
    tasks = [SplitTask(one) for one in shards]
    tasks += [SplitTask(LocateTask(job, key), number) for number, (job, key) in enumerate(sources)]
    splits = session.index(ImageSplits(workspace, config), tasks, basis)
    asked = [none_if_missing(splits, asker(number)) for number in range(len(mined))]
    rounds = _promotions(session, shards, asked, config, basis)
    job = AssignJob(workspace, config, tombstones, absolute_files(checked))
    texts = digest(settings_digest(checked), *digests_of_files(checked)) if checked.files else ""
    planned = []
    for number, one in enumerate(verified):
        promoted = [none_if_missing(moved, asker(number)) for moved in rounds]
        parts = (one.digest, asked[number].digest, *(moved.digest for moved in promoted), settings)
        key = session.shard_key(job.stage, VERSION, *parts, digest(tombstones.to_bytes()), texts)
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
