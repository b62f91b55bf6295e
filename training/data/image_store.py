"""Images by number: the images of a published dataset, read row group by row group, or files in a folder.

An image's number is its row in the store. Ids are looked up in a sorted table of their hashes that lies in a file and
is mapped, so that memory does not grow with the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image

from schemas.errors import ConfigurationError
from schemas.image_files import BrokenImageError, opened

Int64Array = npt.NDArray[np.int64]
_GROUPS = 8
_COLUMNS = ["image"]


class ImageStore(Protocol):
    """Image files by number."""

    def __len__(self) -> int:
        """How many there are."""

    def numbers(self, ids: Sequence[str]) -> Int64Array:
        """Numbers of ids, int64 (n); -1 where there is no such image."""

    def file(self, number: int) -> bytes:
        """The file of an image. Raises ConfigurationError where it cannot be read."""

    def describe(self, number: int) -> str:
        """What a message calls the image."""


def picture(data: bytes, name: str) -> Image.Image:
    """An image file as RGB over white. Raises ConfigurationError for one that is broken."""
    try:
        with opened(data) as image:
            if image.has_transparency_data:
                layered = image.convert("RGBA")
                page = Image.new("RGB", layered.size, (255, 255, 255))
                page.paste(layered, mask=layered.getchannel("A"))
                return page
            return image.convert("RGB")
    except BrokenImageError as error:
        raise ConfigurationError(f"the image {name} cannot be decoded ({error}): take it out.") from error


def hash_of(name: str) -> int:
    """A 64-bit hash of an id or a text, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


class HashIndex:
    """Names to numbers over a sorted array of hashes in a file of its own."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError if two names have one hash."""
        self._hashes = np.load(path.with_suffix(".hashes.npy"), mmap_mode="r")
        self._numbers = np.load(path.with_suffix(".numbers.npy"), mmap_mode="r")

    @classmethod
    def write(cls, path: Path, names: Iterator[str]) -> HashIndex:
        """Number names in their order (8 bytes of memory each while they are sorted), and open the index."""
        hashes = np.fromiter((hash_of(one) for one in names), np.uint64)
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        if len(hashes) and (hashes[1:] == hashes[:-1]).any():
            raise ConfigurationError("two images of the dataset have one id: give every image an id of its own.")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path.with_suffix(".hashes.npy"), hashes)
        np.save(path.with_suffix(".numbers.npy"), order.astype(np.int64))
        return cls(path)

    def __len__(self) -> int:
        return len(self._hashes)

    def numbers(self, names: Sequence[str]) -> Int64Array:
        """Numbers of names, -1 for unknown ones."""
        if not len(self._hashes) or not names:
            return np.full(len(names), -1, np.int64)
        wanted = np.array([hash_of(one) for one in names], np.uint64)
        places = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: Int64Array = np.where(self._hashes[places] == wanted, self._numbers[places], -1)
        return found


class ParquetImages:
    """The configuration `images` of a dataset: columns `image_id` and `image` (struct of `bytes`, `path`)."""

    def __init__(self, files: Sequence[Path], index: Path) -> None:
        """`index` is where the table of ids is kept; it is made if it is not there."""
        self._files = list(files)
        groups: list[tuple[int, int]] = []
        starts = [0]
        for number, path in enumerate(self._files):
            metadata = pq.ParquetFile(path).metadata
            for group in range(metadata.num_row_groups):
                groups.append((number, group))
                starts.append(starts[-1] + metadata.row_group(group).num_rows)
        self._groups, self._starts = groups, np.array(starts, np.int64)
        if not index.with_suffix(".numbers.npy").exists():
            HashIndex.write(index, self.ids())
        self._index = HashIndex(index)
        self._read = lru_cache(_GROUPS)(self._group)

    def __getstate__(self) -> dict[str, object]:
        # Loader workers open the files anew.
        return {name: value for name, value in self.__dict__.items() if name != "_read"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._read = lru_cache(_GROUPS)(self._group)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def ids(self) -> Iterator[str]:
        """All ids by number."""
        for path in self._files:
            with pq.ParquetFile(path) as parquet:
                for batch in parquet.iter_batches(4096, columns=["image_id"]):
                    yield from batch.column(0).to_pylist()

    def numbers(self, ids: Sequence[str]) -> Int64Array:
        """See `ImageStore`."""
        return self._index.numbers(ids)

    def file(self, number: int) -> bytes:
        """See `ImageStore`."""
        group = int(np.searchsorted(self._starts, number, "right")) - 1
        column = self._read(group)
        data = column[number - int(self._starts[group])]
        if not isinstance(data, bytes):
            raise ConfigurationError(f"{self.describe(number)} has no bytes: publish the dataset with its images.")
        return data

    def describe(self, number: int) -> str:
        """See `ImageStore`."""
        group = int(np.searchsorted(self._starts, number, "right")) - 1
        file, within = self._groups[group]
        return f"in row {number - int(self._starts[group])} of row group {within} of {self._files[file]}"

    def _group(self, group: int) -> list[bytes | None]:
        file, within = self._groups[group]
        with pq.ParquetFile(self._files[file]) as parquet:
            column = parquet.read_row_group(within, columns=_COLUMNS).column("image").combine_chunks()
        return list(column.field("bytes").to_pylist())


def read_images(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Ids and files of the configuration `images`, in order, a few in memory."""
    for path in files:
        with pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches(batch_size=64, columns=["image_id", "image"]):
                for row in batch.to_pylist():
                    yield row["image_id"], row["image"]["bytes"]


class FolderImages:
    """Image files below a folder; an image's id is its path there."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, list(names)
        self._places = {name: number for number, name in enumerate(self._names)}

    def __len__(self) -> int:
        return len(self._names)

    def numbers(self, ids: Sequence[str]) -> Int64Array:
        """See `ImageStore`."""
        return np.array([self._places.get(one, -1) for one in ids], np.int64)

    def file(self, number: int) -> bytes:
        """See `ImageStore`."""
        path = self._folder / self._names[number]
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read the image {path}: {error.strerror}.") from error

    def describe(self, number: int) -> str:
        """See `ImageStore`."""
        return str(self._folder / self._names[number])


class GivenImages:
    """Image files in memory or from a function, by number: queries and galleries that are embedded once."""

    def __init__(self, files: Sequence[bytes], names: Sequence[str]) -> None:
        self._files, self._names = files, names

    def __len__(self) -> int:
        return len(self._files)

    def numbers(self, ids: Sequence[str]) -> Int64Array:
        """See `ImageStore`."""
        places = {name: number for number, name in enumerate(self._names)}
        return np.array([places.get(one, -1) for one in ids], np.int64)

    def file(self, number: int) -> bytes:
        """See `ImageStore`."""
        return self._files[number]

    def describe(self, number: int) -> str:
        """See `ImageStore`."""
        return self._names[number]
