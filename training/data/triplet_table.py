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
from training.config import DataConfig
from training.data.parquet_files import Location, ParquetFiles
from training.data.string_table import hashes_of
from training.data.triplet_columns import columns_of, matching, texts_of
from training.data.triplet_ids import ids_in
from training.items import Row

Int64Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Share of the rows that may lack an image before a training is stopped.
MOST_MISSING = 0.5


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
    #: The first image that is not there, "" where all are.
    missing: str = ""

    @property
    def kept(self) -> int:
        """Rows that are trained on."""
        return self.rows - self.filtered - self.no_image - self.no_text

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.rows + other.rows,
            self.filtered + other.filtered,
            self.no_image + other.no_image,
            self.no_text + other.no_text,
            self.missing or other.missing,
        )


@dataclass(frozen=True)
class _Survey:
    """What is remembered of a window: how many pages have so many rows each (a few numbers), and what is left out."""

    sizes: Int64Array
    pages: Int64Array
    counts: RowCounts


@dataclass(frozen=True)
class _Masks:
    """For each row whether settings want it, whether its images are there, whether it has a text."""

    wanted: Mask
    shown: Mask
    said: Mask
    queries: Int64Array
    targets: Int64Array
    pages: npt.NDArray[np.uint64]


class TripletTable:
    """The rows of a split that settings keep, in windows of at most `config.window` of them."""

    def __init__(
        self, files: Sequence[Location], config: DataConfig, numbers: Callable[[Sequence[str]], Int64Array]
    ) -> None:
        """`numbers` finds the numbers of image ids. Raises ConfigurationError for missing columns."""
        self._config, self._numbers = config, numbers
        self._columns = columns_of(files, config)
        self._only = ids_in(config.triplets) if config.triplets is not None else None
        self._parquet = ParquetFiles(files)
        self._spans = _spans(len(self._parquet), config.window)
        self._surveys: dict[int, _Survey] = {}

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._spans)

    def page_counts(self, window: int) -> Int64Array:
        """Rows of each page of a window, int64 (pages), ascending. A window is read for them once."""
        found = self._survey(window)
        return np.repeat(found.sizes, found.pages)

    def counts(self) -> RowCounts:
        """How many rows there are, and why others are left out."""
        return sum((self._survey(one).counts for one in range(len(self))), RowCounts(0, 0, 0, 0))

    def check_images(self) -> None:
        """Raise ConfigurationError where most rows name images that are not there: that is no fault of a few rows."""
        found = self.counts()
        if found.no_image > (found.rows - found.filtered) * MOST_MISSING:
            raise ConfigurationError(
                f"{found.no_image} of {found.rows} triplets of {self._parquet.files[0]} name images that the dataset "
                f"does not have, such as {found.missing}: give it with its images (data.images for files elsewhere)."
            )

    def _survey(self, window: int) -> _Survey:
        if window not in self._surveys:
            masks = self._masks(table := self._light(window))
            wanted, shown, said = masks.wanted, masks.shown, masks.said
            kept = masks.pages[wanted & shown & said]
            sizes, pages = np.unique(np.unique(kept, return_counts=True)[1], return_counts=True)
            missing = ""
            if (lost := np.flatnonzero(wanted & ~shown)).size:
                column = "query_image_id" if masks.queries[lost[0]] < 0 else "target_image_id"
                missing = str(table[column][int(lost[0])].as_py())
            no_text = int((wanted & shown & ~said).sum())
            counts = RowCounts(len(table), int((~wanted).sum()), int(lost.size), no_text, missing)
            self._surveys[window] = _Survey(sizes.astype(np.int64), pages.astype(np.int64), counts)
        return self._surveys[window]

    def window(self, number: int) -> Window:
        """A window with all columns."""
        return self._kept(self._read(number, self._columns))

    def _light(self, window: int) -> pa.Table:
        """What says which rows are kept."""
        light = {"page_id", "query_image_id", "target_image_id", "instruction", *self._config.where}
        light |= {"instructions"} if self._config.texts.only else set()
        light |= {"triplet_id"} if self._only is not None else set()
        return self._read(window, [name for name in self._columns if name in light])

    def _read(self, window: int, columns: Sequence[str]) -> pa.Table:
        return self._parquet.rows(*self._spans[window], columns)

    def _kept(self, table: pa.Table) -> Window:
        found = self._masks(table)
        mask = found.wanted & found.shown & found.said
        # Rows of a batch are taken in a seventh of the time from a table that is in one piece.
        kept = table.filter(pa.array(mask)).combine_chunks()
        return Window(kept, found.queries[mask], found.targets[mask], found.pages[mask])

    def _masks(self, table: pa.Table) -> _Masks:
        wanted = np.ones(len(table), bool)
        for name, values in self._config.where.items():
            wanted &= matching(table[name], name, values)
        if self._only is not None:
            wanted &= np.asarray(pc.is_in(table["triplet_id"].cast(pa.string()), value_set=self._only), dtype=bool)
        shown_ids = [[one or "" for one in table[name].to_pylist()] for name in ("query_image_id", "target_image_id")]
        names = table["page_id"].to_pylist() if "page_id" in table.column_names else [None] * len(table)
        # Rows of no page have pages of their own, which are the same whatever window they stand in.
        ids = [page or f"{query} {target}" for page, query, target in zip(names, *shown_ids, strict=True)]
        pages = hashes_of(ids)
        if self._config.fraction < 1:
            wanted &= pages.astype(np.float64) / 2**64 < self._config.fraction
        queries, targets = (self._numbers(one) for one in shown_ids)
        return _Masks(wanted, (queries >= 0) & (targets >= 0), self._said(table), queries, targets, pages)

    def _said(self, table: pa.Table) -> Mask:
        """Which rows have a text that the settings take; see `texts_of`."""
        if not self._config.texts.only:
            lengths = pc.fill_null(pc.binary_length(table["instruction"].cast(pa.large_string())), 0)
            return np.asarray(pc.greater(lengths, 0), dtype=bool)
        rows = table.select(["instruction", "instructions"]).to_pylist()
        return np.array([bool(texts_of(row, self._config.texts)) for row in rows], bool)

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
        names = [one for one in row.get("hard_negatives") or () if one and one not in ends]
        return tuple(int(one) for one in self._numbers(names) if one >= 0) if names else ()

    def all_rows(self) -> Iterator[Row]:
        """Every row once, in order, a window at a time in memory."""
        for number in range(len(self)):
            window = self.window(number)
            for start in range(0, len(window.table), 1024):
                yield from self.make_rows(window, range(start, min(start + 1024, len(window.table))))


def _spans(rows: int, window: int) -> list[tuple[int, int]]:
    """First and behind the last row of each window: as few as can be, about equally large."""
    count = -(-rows // window)
    return [(number * rows // count, (number + 1) * rows // count) for number in range(count)]
