"""Images by number: the images of a published dataset, read row group by row group, or files in a folder.

An image's number is its place in the store. Ids are looked up in files that are mapped, so that memory does not grow
with the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from schemas.errors import ConfigurationError
from schemas.image_files import BrokenImageError, opened
from schemas.upright_pictures import upright
from training.data.hash_index import HashIndex
from training.data.made_once import made_once
from training.data.parquet_files import Location, ParquetFiles, open_parquet
from training.data.string_table import StringTable

Int64Array = npt.NDArray[np.int64]
_GROUPS = 8
_COLUMNS = ["image.bytes"]


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
    """An image file as it was shown to those who wrote the texts: RGB over white, upright, a moving one's first frame.

    Raises ConfigurationError for one that is broken.
    """
    try:
        with opened(data) as image:
            return upright(image)
    except BrokenImageError as error:
        raise ConfigurationError(f"the image {name} cannot be decoded ({error}): take it out.") from error


class ParquetImages:
    """The configuration `images` of a dataset: columns `image_id` and `image` (struct of `bytes`, `path`)."""

    def __init__(self, files: Sequence[Location], index: Path) -> None:
        """`index` is the folder where the table of ids is kept; it is made if it is not there.

        Raises ConfigurationError for files without the columns, and for images without an id or with one id.
        """
        for path in files:
            with open_parquet(path) as parquet:
                _check(path, parquet.schema_arrow)
        self._parquet = ParquetFiles(files)
        with made_once(index) as folder:
            if folder is not None:
                HashIndex.write(folder, self.ids())
        self._index = HashIndex(index)
        self._read = lru_cache(_GROUPS)(self._group)

    def __getstate__(self) -> dict[str, object]:
        # Loader workers open the files anew.
        return {name: value for name, value in self.__dict__.items() if name != "_read"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._read = lru_cache(_GROUPS)(self._group)

    def __len__(self) -> int:
        return len(self._parquet)

    def ids(self) -> Iterator[str]:
        """All ids by number."""
        for path in self._parquet.files:
            with open_parquet(path) as parquet:
                for batch in parquet.iter_batches(4096, columns=["image_id"]):
                    if batch.column(0).null_count:
                        raise ConfigurationError(f"{path} has an image without image_id: give it one, or take it out.")
                    yield from batch.column(0).to_pylist()

    def numbers(self, ids: Sequence[str]) -> Int64Array:
        """See `ImageStore`."""
        return self._index.numbers(ids)

    def file(self, number: int) -> bytes:
        """See `ImageStore`."""
        group, within = self._parquet.group_of(number)
        data = self._read(group)[within].as_py()
        if not isinstance(data, bytes):
            raise ConfigurationError(f"{self.describe(number)} has no bytes: publish the dataset with its images.")
        return data

    def describe(self, number: int) -> str:
        """See `ImageStore`."""
        return f"in {self._parquet.describe(number)}"

    def _group(self, group: int) -> pa.Array:
        column = self._parquet.group(group, _COLUMNS).column("image").combine_chunks()
        found: pa.Array = column.field("bytes")
        return found


def _check(path: Location, schema: pa.Schema) -> None:
    """Raise ConfigurationError for a file that has no images as a dataset has them."""
    for name in ("image_id", "image"):
        if name not in schema.names:
            raise ConfigurationError(f"{path} has no column {name}: it holds no images of a dataset.")
    number, image = schema.field("image_id").type, schema.field("image").type
    if not (pa.types.is_string(number) or pa.types.is_large_string(number)):
        raise ConfigurationError(f"the column image_id of {path} is {number}: it must hold texts.")
    if not pa.types.is_struct(image) or image.get_field_index("bytes") < 0:
        raise ConfigurationError(f"the column image of {path} is {image}: it must hold objects with bytes and path.")


def read_images(files: Sequence[Location]) -> Iterator[tuple[str, bytes]]:
    """Ids and files of the configuration `images`, in order, a few in memory."""
    for path in files:
        with open_parquet(path) as parquet:
            for batch in parquet.iter_batches(batch_size=64, columns=["image_id", "image"]):
                for row in batch.to_pylist():
                    yield row["image_id"], row["image"]["bytes"]


class FolderImages:
    """Image files below a folder; an image's id is its path there."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """A list of names is held in memory; a `StringTable` of them is not, and finds their numbers by itself."""
        self._folder, self._names = folder, names

    def __len__(self) -> int:
        return len(self._names)

    def numbers(self, ids: Sequence[str]) -> Int64Array:
        """See `ImageStore`."""
        if isinstance(self._names, StringTable):
            return self._names.numbers(ids)
        places = {name: number for number, name in enumerate(self._names)}
        return np.array([places.get(one, -1) for one in ids], np.int64)

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
