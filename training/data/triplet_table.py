"""Triplets in windows: files of the configuration `ids` (or made like it), of which one window is held at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import ConfigurationError
from training.config import DataConfig, TextsConfig
from training.data.parquet_files import Location, ParquetFiles, open_parquet
from training.data.string_table import hash_of
from training.items import Row

Int64Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Columns that a dataset must have, and those that are read where they are there.
REQUIRED = ("triplet_id", "query_image_id", "target_image_id", "instruction")
OPTIONAL = ("instructions", "hard_negatives", "page_id", "query_text", "target_text")


@dataclass(frozen=True)
class Window:
    """Consecutive rows of a split that the settings keep: a table, and the images' numbers."""

    table: pa.Table
    queries: Int64Array
    targets: Int64Array
    #: A number for each row's page; rows without one have pages of their own.
    pages: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class RowCounts:
    """Rows of a split: all of them, those that settings leave out, and those that lack an image or a text."""

    rows: int
    filtered: int
    no_image: int
    no_text: int

    @property
    def kept(self) -> int:
        """Rows that are trained on."""
        return self.rows - self.filtered - self.no_image - self.no_text


class TripletTable:
    """The rows of a split that settings keep, in windows of at most `config.window` of them."""

    def __init__(
        self, files: Sequence[Location], config: DataConfig, numbers: Callable[[Sequence[str]], Int64Array]
    ) -> None:
        """`numbers` finds the numbers of image ids. Raises ConfigurationError for missing columns."""
        self._config, self._numbers = config, numbers
        self._columns = _columns(files, config)
        self._parquet = ParquetFiles(files)
        self._spans = _spans(len(self._parquet), config.window)

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._spans)

    def page_counts(self, window: int) -> Int64Array:
        """Rows of each page of a window, without holding its texts."""
        return np.unique(self._kept(self._light(window)).pages, return_counts=True)[1].astype(np.int64)

    def counts(self) -> RowCounts:
        """How many rows there are, and why others are left out."""
        total = np.zeros(4, np.int64)
        for window in range(len(self)):
            wanted, shown, said, _, _, _ = self._masks(table := self._light(window))
            left = (~wanted).sum(), (wanted & ~shown).sum(), (wanted & shown & ~said).sum()
            total += [len(table), *left]
        return RowCounts(*(int(one) for one in total))

    def window(self, number: int) -> Window:
        """A window with all columns."""
        return self._kept(self._read(number, self._columns))

    def _light(self, window: int) -> pa.Table:
        """What says which rows are kept."""
        light = ["page_id", "query_image_id", "target_image_id", "instruction", "instructions", *self._config.where]
        return self._read(window, [name for name in self._columns if name in light])

    def _read(self, window: int, columns: Sequence[str]) -> pa.Table:
        return self._parquet.rows(*self._spans[window], columns)

    def _kept(self, table: pa.Table) -> Window:
        wanted, shown, said, queries, targets, pages = self._masks(table)
        mask = wanted & shown & said
        return Window(table.filter(pa.array(mask)), queries[mask], targets[mask], pages[mask])

    def _masks(self, table: pa.Table) -> tuple[Mask, Mask, Mask, Int64Array, Int64Array, npt.NDArray[np.uint64]]:
        """For each row whether settings want it, whether its images are there, whether it has a text; the images'
        numbers, and the page's."""
        wanted = np.ones(len(table), bool)
        for name, values in self._config.where.items():
            wanted &= _matching(table[name], name, values)
        names = table["page_id"].to_pylist() if "page_id" in table.column_names else [None] * len(table)
        ids = zip(names, table["query_image_id"].to_pylist(), table["target_image_id"].to_pylist(), strict=True)
        # Rows of no page have pages of their own, which are the same whatever window they stand in.
        pages = np.array([hash_of(page or f"{query} {target}") for page, query, target in ids], np.uint64)
        if self._config.fraction < 1:
            wanted &= pages.astype(np.float64) / 2**64 < self._config.fraction
        texts = ["instruction", *(one for one in ("instructions",) if one in table.column_names)]
        said = np.array([bool(texts_of(row, self._config.texts)) for row in table.select(texts).to_pylist()], bool)
        queries = self._numbers(table["query_image_id"].to_pylist())
        targets = self._numbers(table["target_image_id"].to_pylist())
        return wanted, (queries >= 0) & (targets >= 0), said, queries, targets, pages

    def make_rows(self, window: Window, places: Sequence[int]) -> list[Row]:
        """Rows of a window at the given places."""
        taken = window.table.take(pa.array(places, pa.int64())).to_pylist()
        return [
            Row(
                row_id=row["triplet_id"],
                query=int(window.queries[place]),
                target=int(window.targets[place]),
                texts=texts_of(row, self._config.texts),
                negatives=self._negatives(row),
                page=int(window.pages[place] >> np.uint64(1)),
                query_text=row.get("query_text") or "",
                target_text=row.get("target_text") or "",
            )
            for row, place in zip(taken, places, strict=True)
        ]

    def _negatives(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        ends = (row["query_image_id"], row["target_image_id"])
        names = [one for one in row.get("hard_negatives") or () if one not in ends]
        return tuple(int(one) for one in self._numbers(names) if one >= 0) if names else ()

    def all_rows(self) -> Iterator[Row]:
        """Every row once, in order, a window at a time in memory."""
        for number in range(len(self)):
            window = self.window(number)
            for start in range(0, len(window.table), 1024):
                yield from self.make_rows(window, range(start, min(start + 1024, len(window.table))))


def texts_of(row: Mapping[str, Any], config: TextsConfig) -> tuple[str, ...]:
    """The texts of a row that the settings take, the best first."""
    found = [
        one["text"]
        for one in row.get("instructions") or ()
        if all(str(one.get(name)) in values for name, values in config.only.items())
    ]
    if not found and not config.only and row.get("instruction"):
        found = [row["instruction"]]
    return tuple(dict.fromkeys(one for one in found if one))


def _columns(files: Sequence[Location], config: DataConfig) -> list[str]:
    """Columns that are read, those of the first file. Raises ConfigurationError for files without what is needed."""
    if not files:
        raise ConfigurationError(f"the dataset has no split {config.split!r}: name one that it has with data.split.")
    found: list[str] = []
    for path in files:
        with open_parquet(path) as parquet:
            names = parquet.schema_arrow.names
        missing = [one for one in REQUIRED if one not in names]
        if missing:
            raise ConfigurationError(
                f"{path} has no column {', '.join(missing)}: training reads {', '.join(REQUIRED)} of every triplet."
            )
        unknown = [one for one in config.where if one not in names]
        if unknown:
            raise ConfigurationError(f"data.where names {unknown[0]!r}, which is no column of {path}.")
        if config.texts.only and "instructions" not in names:
            raise ConfigurationError(f"data.texts.only needs the column instructions, which {path} does not have.")
        known = [*REQUIRED, *(one for one in OPTIONAL if one in names)]
        found = found or [*known, *(one for one in config.where if one not in known)]
    return found


def _matching(column: pa.ChunkedArray, name: str, wanted: Any) -> npt.NDArray[np.bool_]:
    """Which rows have what is wanted: one of a list, the value itself, or a number within {min, max}."""
    if isinstance(wanted, Mapping):
        mask = pa.array(np.ones(len(column), bool))
        for bound, compare in (("min", pc.greater_equal), ("max", pc.less_equal)):
            if bound in wanted:
                mask = pc.and_(mask, pc.fill_null(compare(column, wanted[bound]), False))
        if unknown := set(wanted) - {"min", "max"}:
            raise ConfigurationError(f"data.where.{name} has {sorted(unknown)[0]!r}: a window has min and max.")
    else:
        values = wanted if isinstance(wanted, list) else [wanted]
        mask = pc.is_in(column, pa.array(values, column.type))
    found: npt.NDArray[np.bool_] = np.asarray(mask, dtype=bool)
    return found


def _spans(rows: int, window: int) -> list[tuple[int, int]]:
    """First and behind the last row of each window: as few as can be, about equally large."""
    count = -(-rows // window)
    return [(number * rows // count, (number + 1) * rows // count) for number in range(count)]
