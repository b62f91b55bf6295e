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
from training.data.string_table import hashes_of
from training.items import Row

Int64Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Columns that a dataset must have, and those that are read where they are there.
REQUIRED = ("triplet_id", "query_image_id", "target_image_id", "instruction")
OPTIONAL = ("instructions", "hard_negatives", "page_id", "query_text", "target_text")

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
        self._columns = _columns(files, config)
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
            wanted &= _matching(table[name], name, values)
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


def texts_of(row: Mapping[str, Any], config: TextsConfig) -> tuple[str, ...]:
    """The texts of a row that the settings take, the best (`instruction`) first. A row without it has none."""
    best = row.get("instruction")
    if not best:
        return ()
    found = [
        one["text"]
        for one in row.get("instructions") or ()
        if one and all(str(one.get(name)) in values for name, values in config.only.items())
    ]
    first = [best] if not config.only or best in found else []
    return tuple(dict.fromkeys(one for one in (*first, *found) if one))


def _columns(files: Sequence[Location], config: DataConfig) -> list[str]:
    """Columns that are read, all that any file has. Raises ConfigurationError for files without what is needed."""
    if not files:
        raise ConfigurationError(f"the dataset has no split {config.split!r}: name one that it has with data.split.")
    found: dict[str, None] = dict.fromkeys(REQUIRED)
    for path in files:
        with open_parquet(path) as parquet:
            schema = parquet.schema_arrow
        names = schema.names
        missing = [one for one in REQUIRED if one not in names]
        if missing:
            raise ConfigurationError(
                f"{path} has no column {', '.join(missing)}: training reads {', '.join(REQUIRED)} of every triplet."
            )
        unknown = [one for one in config.where if one not in names]
        if unknown:
            raise ConfigurationError(f"data.where names {unknown[0]!r}, which is no column of {path}.")
        _check_kinds(path, schema)
        _check_texts(path, schema, config.texts)
        found |= dict.fromkeys(one for one in (*OPTIONAL, *config.where) if one in names)
    return list(found)


def _check_kinds(path: Location, schema: pa.Schema) -> None:
    """Raise ConfigurationError for columns of ids and texts that hold something else."""
    for name in (*REQUIRED, *OPTIONAL):
        if name not in schema.names or name == "instructions":
            continue
        kind = schema.field(name).type
        listed = name == "hard_negatives"
        value = getattr(kind, "value_type", kind) if listed or pa.types.is_dictionary(kind) else kind
        fits = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
        if not (fits and (value is not kind or not listed)) and not pa.types.is_null(value):
            what = "lists of image ids" if listed else "texts"
            raise ConfigurationError(f"the column {name} of {path} is {kind}: it must hold {what}.")


def _check_texts(path: Location, schema: pa.Schema, config: TextsConfig) -> None:
    """Raise ConfigurationError for a column `instructions` that is no list of texts, or lacks what `only` names."""
    if "instructions" not in schema.names:
        if config.only:
            raise ConfigurationError(f"data.texts.only needs the column instructions, which {path} does not have.")
        return
    kind = schema.field("instructions").type
    value = getattr(kind, "value_type", None)
    fields = [one.name for one in value] if value is not None and pa.types.is_struct(value) else []
    if pa.types.is_null(kind if value is None else value):
        # A file none of whose rows has a list of texts.
        return
    if "text" not in fields:
        raise ConfigurationError(
            f"the column instructions of {path} is {kind}: it must be a list of objects with a text."
        )
    for name in config.only:
        if name not in fields:
            raise ConfigurationError(
                f"data.texts.only names {name!r}, which the instructions of {path} do not have: they have "
                f"{', '.join(fields)}."
            )


def _matching(column: pa.ChunkedArray, name: str, wanted: Any) -> Mask:
    """Which rows have what is wanted: one of a list, the value itself, or a number within {min, max}."""
    if isinstance(wanted, Mapping) and (unknown := set(wanted) - {"min", "max"}):
        raise ConfigurationError(f"data.where.{name} has {min(map(str, unknown))!r}: a window has min and max.")
    values = wanted if isinstance(wanted, list) else [wanted]
    if pa.types.is_null(column.type):
        return np.full(len(column), None in values)
    try:
        if isinstance(wanted, Mapping):
            mask = pa.array(np.ones(len(column), bool))
            for bound, compare in (("min", pc.greater_equal), ("max", pc.less_equal)):
                if bound in wanted:
                    mask = pc.and_(mask, pc.fill_null(compare(column, _bound(wanted[bound], column.type)), False))
        else:
            mask = pc.is_in(column, pa.array(values, column.type))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"data.where.{name} is {wanted!r}, which cannot be compared with the column ({column.type})."
        ) from error
    return np.asarray(mask, dtype=bool)


def _bound(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A bound as the column writes numbers: 0.8 of float32 is a little more than 0.8, and is within a `max` of 0.8."""
    return pa.scalar(value, kind) if pa.types.is_floating(kind) else pa.scalar(value)


def _spans(rows: int, window: int) -> list[tuple[int, int]]:
    """First and behind the last row of each window: as few as can be, about equally large."""
    count = -(-rows // window)
    return [(number * rows // count, (number + 1) * rows // count) for number in range(count)]
