"""Parts of a crawl whose images are searched for each other by features, before pages are admitted: shards of
`annotations`, of which those images count that hashes and pages leave."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beam_jobs.corpus.groups import ImageFacts, packed
from beam_jobs.index_step import NO_ANSWERS, Answers, answer_map
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import asker
from beam_jobs.tables import batches
from beam_jobs.workspace import DataFile, Manifest, Workspace
from mining.search.vectors import ImageColumns
from schemas.ids import digest


@dataclass(frozen=True)
class FeatureShard:
    """A shard of annotations. `usable`: the answers that name the images that take part, None where all do;
    `rejected`: those whose images do not, whatever the others say."""

    job: str
    key: str
    digest: str
    files: tuple[DataFile, ...]
    usable: Answers | None
    rejected: Answers

    @property
    def weight(self) -> int:
        """How many images take part."""
        named = sum(file.rows for file in self.files) if self.usable is None else self.usable.weight
        return named - self.rejected.weight

    def images(self, workspace: Workspace) -> set[str]:
        """Ids of the images that take part."""
        if self.usable is None:
            named = {
                image_id
                for batch in batches(workspace, self.files, ["image_id"])
                for image_id in batch.column(0).to_pylist()
            }
        else:
            named = set(answer_map(workspace, self.usable.path))
        return named - answer_map(workspace, self.rejected.path).keys()


@dataclass(frozen=True)
class FeatureGroup:
    """Consecutive shards of annotations: one part of the search (`beam_jobs.corpus.groups.Part`)."""

    number: int
    shards: tuple[FeatureShard, ...]

    @property
    def source(self) -> LocateTask:
        """The first of its shards, in whose name the group tells."""
        return LocateTask(self.shards[0].job, self.shards[0].key)

    def digest(self, view: str) -> str:
        """Digest of the images that take part, and of what is known of them."""
        parts = []
        for one in self.shards:
            parts += [one.digest, one.usable.digest if one.usable else "all", one.rejected.digest]
        return digest("feature group", *parts)[:32]

    def columns(self, workspace: Workspace, views: Collection[str]) -> ImageColumns:
        """Sketches and hashes of the images that take part; there are no texts yet."""
        images = ImageFacts(views)
        for shard in self.shards:
            wanted = shard.images(workspace)
            for batch in batches(workspace, shard.files, images.read):
                images.add(batch, wanted)
        return images.columns([], np.zeros((0, 0), np.float32))

    def areas(self, workspace: Workspace) -> dict[str, int]:
        """Image id → pixels, of all images of the shards."""
        found: dict[str, int] = {}
        for shard in self.shards:
            for batch in batches(workspace, shard.files, ["image_id", "width", "height"]):
                ids, widths, heights = (column.to_pylist() for column in batch.columns)
                found.update((one, width * height) for one, width, height in zip(ids, widths, heights, strict=True))
        return found


def features_left(
    annotated: Sequence[Manifest], usable: Mapping[str, Answers] | None, rejected: Mapping[str, Answers]
) -> list[FeatureShard]:
    """Shards of annotations with those of their images that are left: `usable` as `run_near_duplicates` takes it,
    `rejected` as it gives it."""
    shards = []
    for number, one in enumerate(annotated):
        own = asker(number)
        named = None if usable is None else usable.get(own, NO_ANSWERS)
        files = tuple(one.files.get("annotations", ()))
        shards.append(FeatureShard(one.stage, one.key, one.digest, files, named, rejected.get(own, NO_ANSWERS)))
    return shards


def plan_feature_groups(shards: Sequence[FeatureShard], images_per_part: int) -> list[FeatureGroup]:
    """The parts of the search."""
    filled = [one for one in shards if one.weight]
    return [FeatureGroup(number, members) for number, members in enumerate(packed(filled, images_per_part))]
