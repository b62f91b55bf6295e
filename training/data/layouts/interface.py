"""What a layout of a foreign dataset is: which files hold which split, and how a record becomes a triplet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

#: Reasons of records that say nothing; a file that holds no others is not what it seems to be.
UNREADABLE = frozenset({"broken_json", "not_an_object", "missing_field", "wrong_type", "broken_text"})


class RecordError(Exception):
    """A record that is no triplet: a reason of one word, and what it is about."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason, about)
        self.reason, self.about = reason, about


@dataclass(frozen=True)
class Record:
    """A record of a file: what it holds, or the reason why that cannot be read."""

    file: Path
    #: Where it stands in the file, as a message says it after the file's name.
    place: str
    value: Any = None
    broken: str | None = None


@dataclass(frozen=True)
class Triplet:
    """A query image, texts (the best first) and a target image; images as the record names them."""

    triplet_id: str
    query: str
    target: str
    texts: tuple[str, ...]
    #: Without the query image, which every training uses by itself.
    hard_negatives: tuple[str, ...] = ()
    #: How many records it was made of.
    records: int = 1

    def row(self) -> dict[str, Any]:
        """A row as the configuration `ids` has it."""
        return {
            "triplet_id": self.triplet_id,
            "query_image_id": self.query,
            "target_image_id": self.target,
            "instruction": self.texts[0],
            "instructions": [{"text": one} for one in self.texts],
            "hard_negatives": list(self.hard_negatives),
            "page_id": None,
        }


@dataclass(frozen=True)
class Rejected:
    """A record that is left out, and why."""

    record: Record
    reason: str
    about: str = ""

    def __str__(self) -> str:
        what = f"{self.reason}: {self.about}" if self.about else self.reason
        return f"{self.record.file}{self.record.place} ({what})"


@dataclass(frozen=True)
class Layout:
    """A form of datasets."""

    name: str
    #: What such a folder looks like, for messages.
    looks: str
    #: Files of each split in a folder; nothing where the folder has another layout.
    splits: Callable[[Path], dict[str, list[Path]]]
    #: Records of a file, in order, a few in memory.
    records: Callable[[Path], Iterator[Record]]
    #: A record's triplet. Raises RecordError.
    triplet: Callable[[Mapping[str, Any]], Triplet]
    #: Whether records that follow each other with one pair of images are texts of one triplet.
    joins: bool = False

    def rows(self, paths: Sequence[Path]) -> Iterator[Triplet | Rejected]:
        """Triplets of files in order, and the records that are none."""
        for path in paths:
            made = (self._made(record) for record in self.records(path))
            yield from joined(made) if self.joins else made

    def _made(self, record: Record) -> Triplet | Rejected:
        if record.broken is not None:
            return Rejected(record, record.broken)
        if not isinstance(record.value, Mapping):
            return Rejected(record, "not_an_object")
        try:
            return self.triplet(record.value)
        except RecordError as error:
            return Rejected(record, error.reason, error.about)


def joined(rows: Iterable[Triplet | Rejected]) -> Iterator[Triplet | Rejected]:
    """Triplets that follow each other with one query and one target as one with the texts of all."""
    for pair, group in groupby(rows, lambda one: (one.query, one.target) if isinstance(one, Triplet) else None):
        if pair is None:
            yield from group
            continue
        first, *others = (one for one in group if isinstance(one, Triplet))
        together = (first, *others)
        yield replace(
            first,
            texts=tuple(dict.fromkeys(text for one in together for text in one.texts)),
            hard_negatives=tuple(dict.fromkeys(name for one in together for name in one.hard_negatives)),
            records=len(together),
        )
