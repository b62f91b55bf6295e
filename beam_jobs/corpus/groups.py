"""Groups of shards whose images make one part of a corpus: planned by size, read as columns of numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.corpus.images import PagesShard, searched_images, standing_places
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from mining.search.vectors import ImageColumns
from schemas.ids import digest
from schemas.protocols import Float32Array


class Part(Protocol):
    """What is searched, and searched for, together; implementations are picklable dataclasses."""

    @property
    def number(self) -> int:
        """Its place among the parts of the corpus."""

    def digest(self, view: str) -> str:
        """Digest of what its vectors of a view are made of."""

    def columns(self, workspace: Workspace, views: Collection[str]) -> ImageColumns:
        """Its images, each once, sorted by id; what no view needs is left empty."""


class Weighed(Protocol):
    """A shard of which it is known how many images it brings."""

    @property
    def weight(self) -> int:
        """How many images it brings to its part."""


_Shard = TypeVar("_Shard", bound=Weighed)


@dataclass(frozen=True)
class Group:
    """Consecutive shards of pages whose images are searched, and searched for, together."""

    number: int
    shards: tuple[PagesShard, ...]

    def digest(self, view: str) -> str:
        """Digest of what the group's vectors of a view are made of. Of an image the features are the same everywhere;
        a text may come to stand for it on a page that is added later."""
        known = [one.standing if view == "text" else one.first for one in self.shards]
        parts = [part for one, answers in zip(self.shards, known, strict=True) for part in (one.digest, answers.digest)]
        return digest("group", *parts)[:32]

    def columns(self, workspace: Workspace, views: Collection[str]) -> ImageColumns:
        """The images of the group: with sketches and hashes those that it searches for, with texts those whose standing
        places lie in it."""
        images, texts = SketchColumns(), _Texts()
        for shard in self.shards:
            files = shard.manifest(workspace).files.get("eligible", ())
            if set(views) - {"text"}:
                wanted = searched_images(workspace, shard)
                for batch in batches(workspace, files, SketchColumns.read):
                    images.add(batch, wanted)
            if "text" in views:
                standing = standing_places(workspace, shard)
                for batch in batches(workspace, files, ["image_id", "page_id", "position", "embedding"]):
                    texts.add(batch, standing)
        return ImageColumns(*images.sorted(), *texts.sorted())


def packed(shards: Sequence[_Shard], images_per_part: int) -> list[tuple[_Shard, ...]]:
    """Shards packed in their order until a part is full: shards that come later change no part that is full."""
    groups: list[list[_Shard]] = [[]]
    size = 0
    for one in shards:
        if groups[-1] and size + one.weight > images_per_part:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += one.weight
    return [tuple(members) for members in groups if members]


def plan_groups(shards: Sequence[PagesShard], images_per_part: int) -> list[Group]:
    """The parts of a corpus of admitted pages."""
    return [Group(number, members) for number, members in enumerate(packed(shards, images_per_part))]


class SketchColumns:
    """Ids, sketches and hashes as they come in batches of the columns `read`, each image once."""

    read = ("image_id", "sketch", "phash")

    def __init__(self) -> None:
        self._found: dict[str, tuple[bytes, int]] = {}

    def add(self, batch: pa.RecordBatch, wanted: Collection[str]) -> None:
        for image_id, sketch, phash in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if image_id in wanted and image_id not in self._found:
                self._found[image_id] = sketch, int(phash, 16)

    def sorted(self) -> tuple[list[str], npt.NDArray[np.int8], npt.NDArray[np.uint64]]:
        ids = sorted(self._found)
        hashes = np.array([self._found[one][1] for one in ids], np.uint64)
        rows = [np.frombuffer(self._found[one][0], np.int8) for one in ids]
        return ids, np.stack(rows) if rows else np.zeros((0, 0), np.int8), hashes


class _Texts:
    """Embeddings of the texts of standing places."""

    def __init__(self) -> None:
        self._found: dict[str, npt.NDArray[np.float16]] = {}

    def add(self, batch: pa.RecordBatch, standing: Mapping[str, tuple[str, int]]) -> None:
        vectors = _vectors(batch.column("embedding"))
        places = batch.select(["image_id", "page_id", "position"]).to_pylist()
        for place, vector in zip(places, vectors, strict=True):
            here = standing.get(place["image_id"]) == (place["page_id"], place["position"])
            if here and vector is not None:
                self._found[place["image_id"]] = vector

    def sorted(self) -> tuple[list[str], Float32Array]:
        ids = sorted(self._found)
        rows = [self._found[one].astype(np.float32) for one in ids]
        return ids, np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def _vectors(column: pa.Array) -> list[npt.NDArray[np.float16] | None]:
    """A list column as arrays of float16, without a Python object for each number."""
    values = column.values.to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy()
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return [
        np.asarray(values[offsets[row] : offsets[row + 1]], np.float16) if valid[row] else None
        for row in range(len(column))
    ]
