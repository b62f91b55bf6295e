"""Groups of shards whose images make one part of a corpus: planned by size, read as columns of numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.corpus.images import PagesShard, searched_images, standing_places
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from mining.search.vectors import ImageColumns
from schemas.ids import digest
from schemas.protocols import Float32Array

#: Columns of `eligible` that tell of an image itself, by the view that reads them.
_LOOKS: Mapping[str, tuple[str, ...]] = {
    "image": ("sketch",),
    "pattern": ("phash", "pattern_sketch"),
    "caption": ("caption_sketch",),
}


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
        """Digest of what the group's vectors of a view are made of. What is known of an image itself is the same
        everywhere; a text may come to stand for it on a page that is added later."""
        known = [one.standing if view == "text" else one.first for one in self.shards]
        parts = [part for one, answers in zip(self.shards, known, strict=True) for part in (one.digest, answers.digest)]
        return digest("group", *parts)[:32]

    def columns(self, workspace: Workspace, views: Collection[str]) -> ImageColumns:
        """The images of the group: with sketches and hashes those that it searches for, with texts those whose standing
        places lie in it."""
        images, texts = ImageFacts(views), _Texts()
        for shard in self.shards:
            files = shard.manifest(workspace).files.get("eligible", ())
            if images.names:
                wanted = searched_images(workspace, shard)
                for batch in batches(workspace, files, images.read):
                    images.add(batch, wanted)
            if "text" in views:
                standing = standing_places(workspace, shard)
                for batch in batches(workspace, files, ["image_id", "page_id", "position", "embedding"]):
                    texts.add(batch, standing)
        return images.columns(*texts.sorted())


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


class ImageFacts:
    """What columns tell of images themselves as they come in batches of the columns `read`, each image once; of `names`
    what the views need."""

    def __init__(self, views: Collection[str]) -> None:
        self.names = tuple(name for view, names in _LOOKS.items() if view in views for name in names)
        self.read = ("image_id", *self.names)
        self._found: dict[str, tuple[Any, ...]] = {}

    def add(self, batch: pa.RecordBatch, wanted: Collection[str]) -> None:
        """The images of a batch that are wanted."""
        for image_id, *told in zip(*(batch.column(name).to_pylist() for name in self.read), strict=True):
            if image_id in wanted and image_id not in self._found:
                self._found[image_id] = tuple(told)

    def columns(self, texted: Sequence[str], texts: Float32Array) -> ImageColumns:
        """All of them, sorted by id, with the texts of those that have one."""
        ids = sorted(self._found)
        return ImageColumns(
            ids,
            self._sketches("sketch", ids),
            self._hashes(ids),
            texted,
            texts,
            self._sketches("pattern_sketch", ids),
            self._sketches("caption_sketch", ids),
        )

    def _hashes(self, ids: Sequence[str]) -> npt.NDArray[np.uint64]:
        if "phash" not in self.names:
            return np.zeros(len(ids), np.uint64)
        place = self.names.index("phash")
        return np.array([int(self._found[one][place], 16) for one in ids], np.uint64)

    def _sketches(self, name: str, ids: Sequence[str]) -> npt.NDArray[np.int8]:
        """Sketches of one column (n, s), zeros for an image without one; s is 0 where no image has one."""
        if name not in self.names:
            return np.zeros((len(ids), 0), np.int8)
        place = self.names.index(name)
        found: list[bytes | None] = [self._found[one][place] for one in ids]
        nothing = bytes(max((len(one) for one in found if one), default=0))
        if not nothing:
            return np.zeros((len(ids), 0), np.int8)
        return np.stack([np.frombuffer(one or nothing, np.int8) for one in found])


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
