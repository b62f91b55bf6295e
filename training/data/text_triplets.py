"""Triplets of texts alone, (caption, edit, edited caption), in mapped files, those of one caption beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from schemas.errors import ConfigurationError
from training.data.parquet_files import open_parquet
from training.data.string_table import StringTable, write_strings
from training.items import Row

Int64Array = npt.NDArray[np.int64]

#: Caption, edit and edited caption.
Triplet = tuple[str, str, str]
#: The columns of the table `text_triplets` that are read.
COLUMNS = ("caption", "edit", "edited")
_TEXTS, _TRIPLETS = "texts", "triplets.npy"
_ROWS = 4096


class TextTripletStore:
    """What `write_text_triplets` wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.texts = StringTable(folder / _TEXTS)
        self._triplets: Int64Array = np.load(folder / _TRIPLETS, mmap_mode="r")
        first = np.ones(len(self._triplets), bool)
        first[1:] = self._triplets[1:, 0] != self._triplets[:-1, 0]
        self._starts = np.append(np.flatnonzero(first), len(self._triplets))

    def __reduce__(self) -> tuple[type[TextTripletStore], tuple[Path]]:
        # A mapped array would be copied into every worker.
        return type(self), (self._folder,)

    def __len__(self) -> int:
        return len(self._triplets)

    @property
    def captions(self) -> int:
        """How many captions there are."""
        return len(self._starts) - 1

    def of_caption(self, place: int) -> Int64Array:
        """The triplets of a caption by its place, int64 (n, 3): numbers in `texts` of caption, edit and edited."""
        found: Int64Array = self._triplets[self._starts[place] : self._starts[place + 1]]
        return found

    def numbers(self, column: str) -> Int64Array:
        """Distinct numbers of a column's texts, ascending."""
        return np.unique(self._triplets[:, COLUMNS.index(column)])


def write_text_triplets(folder: Path, triplets: Callable[[], Iterable[Triplet]]) -> TextTripletStore:
    """Write triplets into an empty folder, equal ones once; `triplets` is called twice and says the same both times.

    24 bytes of memory a triplet are taken while they are sorted.
    """
    (folder / _TEXTS).mkdir()
    write_strings(folder / _TEXTS, (text for one in triplets() for text in one))
    table = StringTable(folder / _TEXTS)
    parts = [np.zeros((0, 3), np.int64)]
    parts += [table.numbers([text for one in some for text in one]).reshape(-1, 3) for some in _some(triplets())]
    np.save(folder / _TRIPLETS, np.unique(np.concatenate(parts), axis=0))
    return TextTripletStore(folder)


def _some(triplets: Iterable[Triplet]) -> Iterator[list[Triplet]]:
    left = iter(triplets)
    while some := list(islice(left, _ROWS)):
        yield some


def read_text_triplets(folder: Path) -> Iterator[Triplet]:
    """Triplets of the table `text_triplets` that a run wrote. Raises ConfigurationError for a folder without it."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise ConfigurationError(
            f"{folder} holds no text triplets: give objectives.text_triplets.folder the folder `text_triplets` of a "
            "run whose chain has the task text_triplets, or null to take them from the dataset's rows."
        )
    for path in files:
        with open_parquet(path) as parquet:
            yield from _rows(path, parquet)


def _rows(path: Path, parquet: pq.ParquetFile) -> Iterator[Triplet]:
    if missing := [one for one in COLUMNS if one not in parquet.schema_arrow.names]:
        raise ConfigurationError(f"{path} has no column {', '.join(missing)}: it holds no text triplets of a run.")
    for batch in parquet.iter_batches(_ROWS, columns=list(COLUMNS)):
        for row in batch.to_pylist():
            yield row["caption"], row["edit"], row["edited"]


def row_triplets(rows: Iterable[Row]) -> Iterator[Triplet]:
    """Triplets of rows whose images both have a text: the query's, each instruction, the target's."""
    for row in rows:
        for text in row.texts:
            yield row.query_text, text, row.target_text


def usable(triplets: Iterable[Triplet], words: int) -> Iterator[Triplet]:
    """Triplets without empty texts that change their caption, which is cut to its first words."""
    for caption, edit, edited in triplets:
        before, change, after = (" ".join(one.split()) for one in (caption, edit, edited))
        if before and change and after and before != after:
            yield " ".join(before.split()[:words]), change, after
