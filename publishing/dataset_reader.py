"""Streaming reads of a published dataset: rows of a configuration, and single images by id."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from publishing.description import Description, PublishedFile
from schemas.storage import Folder

#: Row groups of images that a lookup keeps: pages follow each other, and so do their images only by chance.
_KEPT_GROUPS = 4


def row_groups(folder: Folder, file: PublishedFile, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of one file in order, one in memory at a time."""
    chosen = list(columns) if columns else None
    with folder.open(file.name) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
        for index in range(parquet.num_row_groups):
            yield parquet.read_row_group(index, columns=chosen)


def rows(
    folder: Folder,
    about: Description,
    configuration: str,
    split: str | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of a configuration as dictionaries, file by file; images are `{"bytes", "path"}`."""
    for file in about.of(configuration, split):
        for group in row_groups(folder, file, columns):
            for batch in group.to_batches(max_chunksize=64):
                yield from batch.to_pylist()


class ImageLookup:
    """Images of a dataset by id, read from the row group that holds them; memory is a few row groups.

    Only footers are read at the start: `images` is sorted by id within a split, and row groups are small.
    """

    def __init__(self, folder: Folder, about: Description, splits: Sequence[str] | None = None) -> None:
        self._folder = folder
        self._starts: dict[str, list[tuple[str, str, int]]] = {}
        self._groups: OrderedDict[tuple[str, int], dict[str, dict[str, Any]]] = OrderedDict()
        for split in splits or about.splits("images"):
            starts = self._starts.setdefault(split, [])
            for file in about.of("images", split):
                starts += self._first_ids(file)
            starts.sort()

    def get(self, image_id: str) -> dict[str, Any]:
        """`{"bytes", "path"}` of an image. Raises KeyError if the dataset does not hold it."""
        for starts in self._starts.values():
            place = bisect_right(starts, (image_id, "\U0010ffff", 0)) - 1
            if place >= 0 and (found := self._group(starts[place][1], starts[place][2]).get(image_id)):
                return found
        raise KeyError(f"the dataset holds no image {image_id}")

    def _first_ids(self, file: PublishedFile) -> list[tuple[str, str, int]]:
        with self._folder.open(file.name) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            column = parquet.schema_arrow.get_field_index("image_id")
            statistics = [
                parquet.metadata.row_group(i).column(column).statistics for i in range(parquet.num_row_groups)
            ]
        return [(one.min, file.name, index) for index, one in enumerate(statistics) if one is not None]

    def _group(self, name: str, index: int) -> dict[str, dict[str, Any]]:
        key = (name, index)
        if key not in self._groups:
            with self._folder.open(name) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
                table = parquet.read_row_group(index, columns=["image_id", "image"])
            self._groups[key] = dict(zip(table["image_id"].to_pylist(), table["image"].to_pylist(), strict=True))
            if len(self._groups) > _KEPT_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]
