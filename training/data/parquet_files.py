"""Parquet files on a disk or at an address (s3://, hf://, …) as one table of which parts are read."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.storage import Folder, filesystem

#: A file on a disk, or an address that fsspec knows.
Location = Path | str

#: Files whose footers are kept.
_FOOTERS = 32
_ROWS = 8192


def is_address(path: Location) -> bool:
    """Whether a path leads somewhere else than a disk."""
    return isinstance(path, str) and "://" in path


def located(path: Location) -> Location:
    """An address as it is, anything else as a path."""
    return path if is_address(path) else Path(path)


def below(folder: Location, name: str, pattern: str) -> list[Location]:
    """Files `folder/name/PATTERN`, sorted; none where there is no such folder.

    Raises ConfigurationError for an address that cannot be reached.
    """
    if isinstance(folder, Path):
        return sorted((folder / name).glob(pattern))
    try:
        names = Folder(folder).list(name)
    except OSError as error:
        raise ConfigurationError(f"cannot list {folder}/{name}: {error}: check its address.") from error
    return [f"{folder.rstrip('/')}/{name}/{one}" for one in names if fnmatch.fnmatch(one, pattern)]


def stamp(files: Sequence[Location]) -> str:
    """A digest of names, sizes and times of files."""
    parts = []
    for path in files:
        if isinstance(path, Path):
            state = path.stat()
            parts.append(f"{path.name} {state.st_size} {state.st_mtime_ns}")
        else:
            fs, name = filesystem(path)
            about = fs.info(name)
            version = next((str(about[key]) for key in ("ETag", "etag", "sha256", "mtime") if about.get(key)), "")
            parts.append(f"{name.rsplit('/', 1)[-1]} {about['size']} {version}")
    return digest("files", *parts)


@contextmanager
def open_parquet(path: Location, footer: pq.FileMetaData | None = None) -> Iterator[pq.ParquetFile]:
    """A parquet file. Raises ConfigurationError for one that cannot be read, while it is read too."""
    try:
        if isinstance(path, Path):
            with pq.ParquetFile(path, metadata=footer) as parquet:
                yield parquet
        else:
            fs, name = filesystem(path)
            with fs.open(name, "rb") as source, pq.ParquetFile(source, metadata=footer, pre_buffer=True) as parquet:
                yield parquet
    except (OSError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"cannot read {path}: {reason}.") from error


class ParquetFiles:
    """Rows of files one after the other, counted from 0."""

    def __init__(self, files: Sequence[Location]) -> None:
        self.files = list(files)
        sizes: list[int] = []
        places: list[tuple[int, int]] = []
        for number, path in enumerate(self.files):
            with open_parquet(path) as parquet:
                footer = parquet.metadata
            for group in range(footer.num_row_groups):
                sizes.append(footer.row_group(group).num_rows)
                places.append((number, group))
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._places: npt.NDArray[np.int32] = np.array(places, np.int32).reshape(-1, 2)
        self._footer = lru_cache(_FOOTERS)(self._read_footer)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_footer"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._footer = lru_cache(_FOOTERS)(self._read_footer)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def group_of(self, row: int) -> tuple[int, int]:
        """The row group that holds a row, and the row's place in it."""
        group = int(np.searchsorted(self._starts, row, "right")) - 1
        return group, row - int(self._starts[group])

    def describe(self, row: int) -> str:
        """Where a row stands, for messages."""
        group, within = self.group_of(row)
        file, own = self._places[group]
        return f"row {within} of row group {own} of {self.files[file]}"

    def group(self, number: int, columns: Sequence[str]) -> pa.Table:
        """A row group, counted over all files."""
        file, own = (int(one) for one in self._places[number])
        with open_parquet(self.files[file], self._footer(file)) as parquet:
            return parquet.read_row_group(own, columns=list(columns))

    def rows(self, start: int, stop: int, columns: Sequence[str]) -> pa.Table:
        """Rows from `start` to below `stop`, wherever row groups end."""
        parts = []
        for number in range(self.group_of(start)[0], len(self._places)):
            first, after = int(self._starts[number]), int(self._starts[number + 1])
            if first >= stop:
                break
            if start <= first and after <= stop:
                parts.append(self.group(number, columns))
            else:
                parts += self._part(number, max(start, first) - first, min(stop, after) - first, columns)
        try:
            # A file may lack a column that others have.
            return pa.concat_tables(parts, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigurationError(
                f"files beside {self.files[0]} have columns of different kinds ({reason}): write them with one schema."
            ) from error

    def _part(self, number: int, start: int, stop: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Rows of a row group, which may be too large to be held."""
        file, own = (int(one) for one in self._places[number])
        begin = 0
        with open_parquet(self.files[file], self._footer(file)) as parquet:
            for batch in parquet.iter_batches(_ROWS, row_groups=[own], columns=list(columns)):
                if begin >= stop:
                    break
                low, high = max(start - begin, 0), min(stop - begin, len(batch))
                if low < high:
                    yield pa.Table.from_batches([batch.slice(low, high - low)])
                begin += len(batch)

    def _read_footer(self, file: int) -> pq.FileMetaData:
        with open_parquet(self.files[file]) as parquet:
            return parquet.metadata
