"""Where the bytes of images lie: a place of a few numbers, and a reader that keeps the last row groups in hand."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs.extract_pages import EXTRACT_JOBS
from beam_jobs.index_step import Message
from beam_jobs.tables import batches
from beam_jobs.workspace import Manifest, Workspace

_PLACE = struct.Struct(">IHIQ")
#: Row groups that are kept: of at most 8 MB each.
_KEPT = 8

#: Jobs whose manifests hold images, in the order in which `ImagePlace.source` counts them.
IMAGE_JOBS = (*EXTRACT_JOBS, "fetch_images")


@dataclass(frozen=True, order=True)
class ImagePlace:
    """The number of the shard that holds an image, of the file in it, of the row; and the image's size in bytes."""

    source: int
    file: int
    row: int
    size: int

    def pack(self) -> bytes:
        """18 bytes whose order is that of places."""
        return _PLACE.pack(self.source, self.file, self.row, self.size)

    @classmethod
    def unpack(cls, data: bytes) -> ImagePlace:
        """Read what `pack` wrote."""
        return cls(*_PLACE.unpack(data))


def image_sources(workspace: Workspace) -> list[tuple[str, str]]:
    """Job and key of every shard in force that may hold images, in the order of places."""
    return [(job, key) for job in IMAGE_JOBS for key in workspace.in_force(job)]


def places_in(workspace: Workspace, number: int) -> Iterator[tuple[str, ImagePlace]]:
    """The images of one source by their ids, and where each lies; sizes are not looked up, and are 0."""
    job, key = image_sources(workspace)[number]
    for index, file in enumerate(workspace.manifests(job, [key])[0].files.get("images", ())):
        row = 0
        for batch in batches(workspace, [file], ["image_id"]):
            for image_id in batch.column(0).to_pylist():
                yield image_id, ImagePlace(number, index, row, 0)
                row += 1


@dataclass(frozen=True)
class ImageSource:
    """The number of a shard that holds images, as places count them."""

    number: int

    def messages(self, workspace: Workspace) -> Iterator[Message]:
        """What an index step is told of each of its images, once: the first place."""
        seen: set[str] = set()
        for image_id, place in places_in(workspace, self.number):
            if image_id not in seen:
                seen.add(image_id)
                yield image_id, "", place.pack()


class ImageReader:
    """Reads images by place. Rows that are asked for together are read in the order in which they lie."""

    def __init__(self, workspace: Workspace, places: Mapping[str, ImagePlace]) -> None:
        self._workspace, self._places = workspace, places
        self._sources = image_sources(workspace)
        self._manifests: dict[int, Manifest] = {}
        self._bounds: dict[tuple[int, int], list[int]] = {}
        self._groups: OrderedDict[tuple[int, int, int], pa.ChunkedArray] = OrderedDict()

    def fetch(self, image_ids: Sequence[str]) -> dict[str, bytes]:
        """Image ids → their files. Raises KeyError for an id without a place."""
        found: dict[str, bytes] = {}
        for image_id in sorted(image_ids, key=lambda one: self._places[one]):
            found[image_id] = self._read(self._places[image_id])
        return found

    def _read(self, place: ImagePlace) -> bytes:
        bounds = self._bounds_of(place.source, place.file)
        group = next(index for index, stop in enumerate(bounds) if place.row < stop)
        key = (place.source, place.file, group)
        if key not in self._groups:
            with self._open(place.source, place.file) as parquet:
                self._groups[key] = parquet.read_row_group(group, columns=["bytes"]).column(0)
            while len(self._groups) > _KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        first = bounds[group - 1] if group else 0
        data: bytes = self._groups[key][place.row - first].as_py()
        return data

    def _bounds_of(self, source: int, file: int) -> list[int]:
        if (source, file) not in self._bounds:
            bounds, rows = [], 0
            with self._open(source, file) as parquet:
                for group in range(parquet.num_row_groups):
                    rows += parquet.metadata.row_group(group).num_rows
                    bounds.append(rows)
            self._bounds[source, file] = bounds
        return self._bounds[source, file]

    def _open(self, source: int, file: int) -> pq.ParquetFile:
        if source not in self._manifests:
            job, key = self._sources[source]
            self._manifests[source] = self._workspace.manifests(job, [key])[0]
        path = self._manifests[source].files["images"][file].path
        return pq.ParquetFile(self._workspace.folder.open(path), pre_buffer=False)
