"""Statistics of published triplets: small, mergeable in any order, the same whoever counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from schemas.ids import digest

#: Distinct values are counted exactly up to this number and estimated above it.
SKETCH_SIZE = 1024
_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)(?:/([0-9.]+))?", re.IGNORECASE)
_COUNTED = ("mining", "language", "verdict")
_TEXT_COUNTED = ("category", "direction", "length", "method", "model", "prompt", "verdict")


def license_class(license: str | None) -> str:
    """`CC BY-SA 4.0`, `CC0 1.0`, … for Creative Commons addresses, else `other` or `not stated`."""
    if not license:
        return "not stated"
    if found := _CREATIVE_COMMONS.search(license):
        kind, code, version = found.groups()
        if kind.lower() == "publicdomain":
            name = "CC0" if code.lower() == "zero" else "Public Domain Mark"
        else:
            name = f"CC {code.upper()}"
        return f"{name} {version}" if version else name
    return "other"


class DistinctSketch:
    """The smallest hashes of the values seen: an exact count of few distinct values, an estimate of many."""

    def __init__(self, hashes: Iterable[str] = ()) -> None:
        self._hashes = set(hashes)
        self._largest: str | None = None

    def add(self, value: str) -> None:
        """See one value."""
        self._take((digest("distinct", value)[:15],))

    def merge(self, other: DistinctSketch) -> None:
        """See what another sketch saw."""
        self._take(other.smallest)

    def _take(self, hashes: Iterable[str]) -> None:
        self._hashes.update(one for one in hashes if self._largest is None or one < self._largest)
        if len(self._hashes) > 2 * SKETCH_SIZE:
            self._hashes = set(self.smallest)
            self._largest = max(self._hashes)

    @property
    def smallest(self) -> list[str]:
        """The smallest hashes, at most `SKETCH_SIZE`, sorted."""
        return sorted(self._hashes)[:SKETCH_SIZE]

    @property
    def exact(self) -> bool:
        """Whether `count` is a count and no estimate."""
        return len(self._hashes) < SKETCH_SIZE

    @property
    def count(self) -> int:
        """Distinct values: exact below `SKETCH_SIZE`, else an estimate with about 3% standard error."""
        if self.exact:
            return len(self._hashes)
        return round((SKETCH_SIZE - 1) / (int(self.smallest[-1], 16) / 16**15))


@dataclass
class DatasetStatistics:
    """Counters by topic, sketches of distinct values, and the span of the crawl dates."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    sketches: dict[str, DistinctSketch] = field(default_factory=dict)
    first_date: str | None = None
    last_date: str | None = None

    def add(self, split: str, row: Mapping[str, Any]) -> None:
        """Count one triplet, a row of `verified` or of the published `ids`."""
        self._count("split", split)
        for column in _COUNTED:
            self._count(column, row.get(column) or "unknown")
        self._count("license", license_class(row.get("license")))
        self._count("opt_out", "signal recorded" if row.get("opt_out") else "no signal")
        self._count("hard_negatives", str(len(row.get("hard_negatives") or ())))
        self._count("visual_similarity", _bin(row.get("visual_similarity")))
        self._count("text_similarity", _bin(row.get("text_similarity")))
        texts = row.get("instructions") or ()
        self._count("texts_per_triplet", str(len(texts)))
        self._count("instruction_words", str(min(60, len((row.get("instruction") or "").split()))))
        for text in texts:
            for key in _TEXT_COUNTED:
                self._count(f"text_{key}", text.get(key) or "none")
        self._see("pages", row["page_id"])
        self._see("hosts", urlsplit(row["page_url"]).netloc.lower())
        self._see_date(row.get("crawl_date"))

    def add_all(self, split: str, rows: Iterable[Mapping[str, Any]]) -> DatasetStatistics:
        """Count many triplets of one split; returns itself."""
        for row in rows:
            self.add(split, row)
        return self

    def add_chain(self, row: Mapping[str, Any]) -> None:
        """Count one chain, a row of the published `chains`."""
        self._count("chain_turns", str(len(row["triplet_ids"])))

    def merge(self, other: DatasetStatistics) -> DatasetStatistics:
        """Add what another counted; returns itself."""
        for topic, counter in other.counts.items():
            self.counts.setdefault(topic, Counter()).update(counter)
        for topic, sketch in other.sketches.items():
            self.sketches.setdefault(topic, DistinctSketch()).merge(sketch)
        self.first_date = min(filter(None, (self.first_date, other.first_date)), default=None)
        self.last_date = max(filter(None, (self.last_date, other.last_date)), default=None)
        return self

    def total(self, topic: str) -> int:
        """Sum of a topic's counts."""
        return self.counts.get(topic, Counter()).total()

    def to_json(self) -> dict[str, Any]:
        """As a shard's notes store it."""
        return {
            "counts": {topic: dict(sorted(counter.items())) for topic, counter in sorted(self.counts.items())},
            "sketches": {topic: sketch.smallest for topic, sketch in sorted(self.sketches.items())},
            "first_date": self.first_date,
            "last_date": self.last_date,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DatasetStatistics:
        """Read what `to_json` wrote."""
        return cls(
            {topic: Counter(counter) for topic, counter in data["counts"].items()},
            {topic: DistinctSketch(smallest) for topic, smallest in data["sketches"].items()},
            data["first_date"],
            data["last_date"],
        )

    def _count(self, topic: str, value: str) -> None:
        self.counts.setdefault(topic, Counter())[value] += 1

    def _see(self, topic: str, value: str) -> None:
        self.sketches.setdefault(topic, DistinctSketch()).add(value)

    def _see_date(self, date: datetime | None) -> None:
        if date is not None:
            day = date.date().isoformat()
            self.first_date = min(self.first_date or day, day)
            self.last_date = max(self.last_date or day, day)


def _bin(value: float | None) -> str:
    """Twentieths: `0.60` stands for 0.60 up to, not including, 0.65."""
    return "none" if value is None else f"{int(value * 20 + 1e-6) / 20:.2f}"
