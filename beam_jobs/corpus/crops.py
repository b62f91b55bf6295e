"""Job `mine_pairs.crops`: objects that a detector sees in the images of the corpus, with sketches of their crops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from beam_jobs.corpus.images import PagesShard, searched_images
from beam_jobs.image_places import ImagePlace, ImageReader, ImageSource, image_sources
from beam_jobs.index_step import NO_ANSWERS, Message, answer_map
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.workspace import Manifest, Workspace
from mining.annotate_config import LOCAL_TEXTS
from mining.annotation import AnnotateConfig, load_image_encoder
from mining.crop_detection import CropModels, image_crops
from mining.models.hub_detector import HubObjectDetector
from mining.object_crops import ObjectCropsConfig
from schemas.ids import canonical_json, digest
from schemas.settings import settings_digest

VERSION = "1"
#: Models of annotation that look at no crop.
_UNUSED = {
    "text_model": LOCAL_TEXTS, "safety_model": None, "caption_model": None, "generated_model": None,
    "generated_label": None,
}  # fmt: skip
#: Files that are read together, in the order in which they lie.
_READ = 64


@dataclass(frozen=True)
class SearchedImages:
    """Where the files lie of the images that a shard of pages searches for."""

    workspace: Workspace
    name: str = "searched_images"

    def messages(self, task: ImageSource | PagesShard) -> Iterator[Message]:
        """Images with their places; images of a shard."""
        if isinstance(task, ImageSource):
            yield from task.messages(self.workspace)
            return
        for image_id in sorted(searched_images(self.workspace, task)):
            yield image_id, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first place."""
        if values:
            yield from ((one, values[0]) for one in askers)


@dataclass(frozen=True)
class CropsJob:
    """Looks for objects in the images that one shard of pages searches for: rows of `crops`."""

    workspace: Workspace
    config: ObjectCropsConfig
    models: AnnotateConfig
    stage: str = "mine_pairs.crops"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Decoding and models run in a child process."""
        arguments = (self, shard.key, writer.attempt, shard.work)
        writer.take(child("crops").call("beam_jobs.corpus.crops:crops_in_child", *arguments))


def crops_in_child(
    job: CropsJob, key: str, attempt: str, work: Mapping[str, Any], *, mark: Any, quarantine: Mapping[str, str]
) -> WrittenShard:
    """A shard's crops. What looked at them goes into the notes."""
    workspace, looking = job.workspace, _models(job.config, job.models)
    writer = ShardWriter(workspace, job.stage, key, attempt)
    placed = {image_id: ImagePlace.unpack(value) for image_id, value in answer_map(workspace, work["places"]).items()}
    reader = ImageReader(workspace, placed)
    ordered = sorted(placed, key=lambda one: (placed[one], one))

    def images() -> Iterator[tuple[str, bytes]]:
        for first in range(0, len(ordered), _READ):
            yield from reader.fetch(ordered[first : first + _READ]).items()

    found = image_crops(images(), looking, job.config, writer, mark=mark, quarantine=quarantine)
    for row in sorted(found, key=lambda one: (one["image_id"], one["number"])):
        writer.row("crops", row)
    writer.notes["detector"] = f"{looking.detector.name} ({looking.detector.revision})"
    return writer.close()


@lru_cache(1)
def _models(config: ObjectCropsConfig, models: AnnotateConfig) -> CropModels:
    """Loaded once a process. Raises MissingPackageError, ConfigurationError."""
    assert config.detector is not None
    detector = HubObjectDetector(config.detector, config.device, models.threads, models.max_pixels)
    return CropModels(detector, load_image_encoder(models), models.batch, models.max_pixels)


def find_crops(
    session: Session, shards: Sequence[PagesShard], config: ObjectCropsConfig, models: AnnotateConfig
) -> dict[int, Manifest]:
    """The crops of all images: the number of a shard of pages → its manifest, of those that search for any."""
    workspace = session.workspace
    sources = image_sources(workspace)
    tasks: list[ImageSource | PagesShard] = [*shards, *(ImageSource(number) for number in range(len(sources)))]
    basis = digest("crops", canonical_json(sources), *(one.first.digest for one in shards))
    places = session.index(SearchedImages(workspace), tasks, basis)
    job = CropsJob(workspace, config, models)
    # The ids of images say what is in them: where they lie, and what else annotates them, decides nothing here.
    looked = digest(config.detection, settings_digest(models.model_copy(update=_UNUSED)))
    asking = [one for one in shards if one.first.path is not None]
    planned = [
        Shard(
            session.shard_key(job.stage, VERSION, one.first.digest, looked),
            {"places": places.get(asker(one.number), NO_ANSWERS).path},
        )
        for one in asking
    ]
    return {one.number: manifest for one, manifest in zip(asking, session.shards(job, planned), strict=True)}
