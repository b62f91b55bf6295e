"""Job `annotate_images`: each image once, and the distinct texts of the places that lead to images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from beam_jobs.index_step import Answers, Message, answer_map, read_answers
from beam_jobs.locate_images import LocateImages, LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import batches, rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.annotation import AnnotateConfig, annotate, embed_texts, load_models
from mining.pages.addresses import match_key
from mining.texts import page_texts
from schemas.settings import settings_digest

#: Versions of what these jobs write: raised when equal input gives other rows.
VERSION = "3"
TEXTS_JOB = "annotate_images.texts"


@dataclass(frozen=True)
class ImagesOnce:
    """Index step: of all shards that hold an image the first in the plan annotates it."""

    workspace: Workspace
    name: str = "images_once"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """The ids of a shard's images."""
        assert task.number is not None
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        ids = {row["image_id"] for row in rows(self.workspace, manifest, "images", ["image_id"])}
        for image_id in sorted(ids):
            yield image_id, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first asker alone."""
        yield askers[0], b""


@dataclass(frozen=True)
class AnnotateJob:
    """Annotates the images of one shard that fall to it."""

    workspace: Workspace
    config: AnnotateConfig
    stage: str = "annotate_images"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Decoding and models run in a child process."""
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work, self.config)
        writer.take(child("annotate").call("beam_jobs.annotate_images:annotate_in_child", *arguments))


@dataclass(frozen=True)
class TextsJob:
    """Embeds the texts of one shard's places."""

    workspace: Workspace
    config: AnnotateConfig
    stage: str = TEXTS_JOB

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The text model runs in the same child process as the image models."""
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work, self.config)
        writer.take(child("annotate").call("beam_jobs.annotate_images:embed_in_child", *arguments))


def annotate_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    work: Mapping[str, Any],
    config: AnnotateConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Annotate the images of a shard that an answers file names."""
    workspace = Workspace(path)
    writer = ShardWriter(workspace, stage, key, attempt)
    manifest = workspace.manifests(work["job"], [work["key"]])[0]
    wanted = {image_id for image_id, _ in read_answers(workspace, work["answers"])}

    def images() -> Iterator[tuple[str, str, bytes]]:
        # A shard's images may repeat; batches are small, since rows hold whole files.
        for batch in batches(workspace, manifest.files.get("images", ()), ["image_id", "url", "bytes"], rows=16):
            for row in batch.to_pylist():
                if row["image_id"] in wanted:
                    wanted.remove(row["image_id"])
                    yield row["image_id"], row["url"], row["bytes"]

    annotate(images(), config, load_models(config), writer, mark=mark, quarantine=quarantine)
    return writer.close()


def embed_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    work: Mapping[str, Any],
    config: AnnotateConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Embed the distinct texts of the pictures of which some alternative led to an image."""
    workspace = Workspace(path)
    writer = ShardWriter(workspace, stage, key, attempt)
    manifest = workspace.manifests(work["job"], [work["key"]])[0]
    located = answer_map(workspace, work["answers"])
    texts: set[str] = set()
    for page in pages_of_places(workspace, manifest):
        groups = {place["group"] for place in page if match_key(place["url"]) in located}
        for place, text in zip(page, page_texts(page), strict=True):
            if text is not None and place["group"] in groups:
                texts.add(text)
    embed_texts(sorted(texts), config, load_models(config), writer)
    return writer.close()


def pages_of_places(workspace: Workspace, manifest: Manifest) -> Iterator[list[dict[str, Any]]]:
    """Rows of `page_images`, page by page."""
    for _, places in groupby(rows(workspace, manifest, "page_images"), key=lambda row: row["page_id"]):
        yield list(places)


@dataclass(frozen=True)
class Annotated:
    """What later stages need of annotation: the shards, and where the images of places are."""

    images: Sequence[Manifest]
    texts: Sequence[Manifest]
    located: Mapping[str, Answers]


def run_annotate(
    session: Session, extracted: Sequence[Manifest], fetched: Sequence[Manifest], config: AnnotateConfig
) -> Annotated:
    """Annotate every image once, and embed the texts of the places that lead to one."""
    workspace = session.workspace
    sources = [*extracted, *fetched]
    basis = basis_of(sources)
    once = session.index(
        ImagesOnce(workspace), [LocateTask(one.stage, one.key, number) for number, one in enumerate(sources)], basis
    )
    settings = settings_digest(config)
    job = AnnotateJob(workspace, config)
    planned = []
    for number, source in enumerate(sources):
        answers = once.get(asker(number))
        if answers is not None:
            key = session.shard_key(job.stage, VERSION, source.digest, answers.digest, settings)
            planned.append(Shard(key, {"job": source.stage, "key": source.key, "answers": answers.path}))
    images = session.shards(job, planned)
    tasks = [LocateTask(one.stage, one.key, number) for number, one in enumerate(extracted)]
    tasks += [LocateTask(one.stage, one.key) for one in fetched]
    located = session.index(LocateImages(workspace), tasks, basis)
    texts_job = TextsJob(workspace, config)
    planned = []
    for number, source in enumerate(extracted):
        answers = located.get(asker(number), Answers(None, "none"))
        key = session.shard_key(texts_job.stage, VERSION, source.digest, answers.digest, settings)
        planned.append(Shard(key, {"job": source.stage, "key": source.key, "answers": answers.path}))
    return Annotated(images, session.shards(texts_job, planned), located)
