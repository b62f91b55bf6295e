"""Triplets in windows: files of the configuration `ids` (or made like it), of which one window is held at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import ConfigurationError
from training.config import DataConfig, TextsConfig
from training.data.image_store import hash_of
from training.items import Row

Int64Array = npt.NDArray[np.int64]

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


class TripletTable:
    """The rows of a split that settings keep, in windows of at most `config.window` of them."""

    def __init__(
        self, files: Sequence[Path], config: DataConfig, numbers: Callable[[Sequence[str]], Int64Array]
    ) -> None:
        """`numbers` finds the numbers of image ids. Raises ConfigurationError for missing columns and no rows."""
        self._files, self._config, self._numbers = list(files), config, numbers
        self._columns = _columns(self._files, config)
        self._groups: list[tuple[int, int, int]] = []
        for number, path in enumerate(self._files):
            metadata = pq.ParquetFile(path).metadata
            sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            self._groups += [(number, group, count) for group, count in enumerate(sizes)]
        self.rows = sum(count for _, _, count in self._groups)
        self._spans = _spans([count for _, _, count in self._groups], config.window)

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._spans)

    def page_counts(self, window: int) -> Int64Array:
        """Rows of each page of a window, without reading texts."""
        light = ["page_id", "query_image_id", "target_image_id", *self._config.where]
        if self._config.texts.only:
            light.append("instructions")
        held = self._kept(self._read(window, [name for name in self._columns if name in light]))
        return np.unique(held.pages, return_counts=True)[1].astype(np.int64)

    def window(self, number: int) -> Window:
        """A window with all columns."""
        return self._kept(self._read(number, self._columns))

    def _read(self, window: int, columns: Sequence[str]) -> pa.Table:
        parts = []
        for file, group, _ in self._groups[slice(*self._spans[window])]:
            with pq.ParquetFile(self._files[file]) as parquet:
                parts.append(parquet.read_row_group(group, columns=list(columns)))
        return pa.concat_tables(parts)

    def _kept(self, table: pa.Table) -> Window:
        mask = np.ones(len(table), bool)
        for name, wanted in self._config.where.items():
            mask &= _matching(table[name], name, wanted)
        names = table["page_id"].to_pylist() if "page_id" in table.column_names else [None] * len(table)
        pages = np.array([_page(name, number) for number, name in enumerate(names)], np.uint64)
        if self._config.fraction < 1:
            mask &= pages.astype(np.float64) / 2**64 < self._config.fraction
        if self._config.texts.only:
            mask &= [bool(texts_of(row, self._config.texts)) for row in table.select(["instructions"]).to_pylist()]
        queries = self._numbers(table["query_image_id"].to_pylist())
        targets = self._numbers(table["target_image_id"].to_pylist())
        mask &= (queries >= 0) & (targets >= 0)
        return Window(table.filter(pa.array(mask)), queries[mask], targets[mask], pages[mask])

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


def _page(name: str | None, number: int) -> int:
    return hash_of(name) if name else hash_of(f"row {number}")


def _columns(files: Sequence[Path], config: DataConfig) -> list[str]:
    if not files:
        raise ConfigurationError(f"the dataset has no split {config.split!r}: name one that it has with data.split.")
    for path in files:
        names = pq.ParquetFile(path).schema_arrow.names
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
    return [*known, *(one for one in config.where if one not in known)]


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


def _spans(counts: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Row groups of each window: consecutive ones, about equally many rows in each, at most `window` where a row group
    is not larger by itself."""
    total = sum(counts)
    if not total:
        return []
    share = -(-total // -(-total // window))
    spans, begin, rows = [], 0, 0
    for number, count in enumerate(counts):
        if rows and rows + count > share:
            spans.append((begin, number))
            begin, rows = number, 0
        rows += count
    return [*spans, (begin, len(counts))]
