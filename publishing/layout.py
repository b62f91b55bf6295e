"""How published rows are cut into parquet files: names, and the plan of what each file holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.published import SPLITS

#: About how many bytes the texts of a triplet take in a file.
TEXT_ROW = 300


@dataclass(frozen=True)
class Estimate:
    """What one shard holds for one split: its rows and about how many bytes they will take in a file.

    `shard` is any name by which the caller finds the rows again; the order of estimates is the order of the rows.
    """

    shard: str
    split: str
    rows: int
    bytes: int


class StoredBytes:
    """About how many bytes each triplet adds to a file of `triplets`, in which rows of a page stand together and share
    the images that repeat."""

    def __init__(self) -> None:
        self._page = ""
        self._seen: set[tuple[str, str]] = set()

    def of_row(self, row: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
        """Bytes of the next row (in the order of the file), given the sizes of the image files."""
        if row["page_id"] != self._page:
            self._page, self._seen = row["page_id"], set()
        total = TEXT_ROW
        for column in ("query_image_id", "target_image_id"):
            if (column, row[column]) not in self._seen:
                self._seen.add((column, row[column]))
                total += sizes[row[column]]
        return total


def chain_bytes(turns: int) -> int:
    """About how many bytes chains of so many turns together take in a file."""
    return turns * TEXT_ROW


@dataclass(frozen=True)
class Part:
    """Rows `start` (inclusive) to `stop` (exclusive) of what one shard holds for a split."""

    shard: str
    start: int
    stop: int


@dataclass(frozen=True)
class PlannedFile:
    """One parquet file to write: its name, its split and the rows that go into it, in order."""

    name: str
    split: str
    parts: tuple[Part, ...]
    bytes: int

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(part.stop - part.start for part in self.parts)


def file_name(folder: str, split: str, index: int, count: int) -> str:
    """Name of the `index`-th of `count` files of a split: `data/train-00000-of-00003.parquet`."""
    return f"{folder}/{split}-{index:05d}-of-{count:05d}.parquet"


def plan_files(folder: str, estimates: Iterable[Estimate], target_bytes: int) -> list[PlannedFile]:
    """The files of one configuration, splits in their usual order, rows in the order of `estimates`.

    Every row goes into exactly one file. Files of a split are about equally large and at most `target_bytes` and a
    row; a shard is cut where it has to be. A split without rows has no file. The plan depends on the estimates only,
    never on workers.
    """
    by_split: dict[str, list[Estimate]] = defaultdict(list)
    for one in estimates:
        if one.split not in SPLITS:
            raise ValueError(f"unknown split {one.split!r}; the splits are {', '.join(SPLITS)}")
        if one.rows:
            by_split[one.split].append(one)
    planned = []
    for split in SPLITS:
        bins = _bins(by_split[split], target_bytes)
        for index, (parts, size) in enumerate(bins):
            planned.append(PlannedFile(file_name(folder, split, index, len(bins)), split, tuple(parts), size))
    return planned


def empty_file(folder: str) -> str:
    """The one file of a configuration that has no rows at all: it holds the schema."""
    return file_name(folder, "train", 0, 1)


def _bins(estimates: list[Estimate], target_bytes: int) -> list[tuple[list[Part], int]]:
    """Cut the rows, laid end to end by their bytes, into equal lengths; the nearest gap between two rows is the cut."""
    total = sum(one.bytes for one in estimates)
    count = max(1, min(-(-total // target_bytes), sum(one.rows for one in estimates)))
    bins: list[tuple[list[Part], int]] = [([], 0)]
    before, reached = 0, 1
    for one in estimates:
        start = 0
        while reached < count and reached * total < (before + one.bytes) * count:
            cut = round((reached * total / count - before) * one.rows / one.bytes)
            start = _take(bins, one, start, min(max(cut, start), one.rows))
            bins.append(([], 0))
            reached += 1
        _take(bins, one, start, one.rows)
        before += one.bytes
    return [(parts, size) for parts, size in bins if parts]


def _take(bins: list[tuple[list[Part], int]], one: Estimate, start: int, stop: int) -> int:
    """Put rows `start` to `stop` into the last bin; returns `stop`."""
    if stop > start:
        parts, size = bins[-1]
        bins[-1] = (
            [*parts, Part(one.shard, start, stop)],
            size + one.bytes * stop // one.rows - one.bytes * start // one.rows,
        )
    return stop
