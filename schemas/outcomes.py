"""Outcomes of the units that enter a stage: kept, rejected with a reason, failed with an error, or deferred.

Pure functions receive an :class:`Outcomes` and report to it; a shard job gives one that writes tables and the
shard's manifest, tests give :class:`CollectedOutcomes`.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

#: Units of the funnel, in the order in which they appear along the way.
UNITS = ("record", "page", "place", "address", "image", "text", "candidate_pair", "pair", "request", "triplet")

#: Rejections of this unit are counted, and only a sample chosen by id is stored.
SAMPLED_UNITS = frozenset({"candidate_pair"})


#: Above every hash of an id.
_LARGEST = 1 << 32


class Outcomes(Protocol):
    """What a pure function reports to. Every `entered` unit must leave by exactly one of the other four."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Append one row to a table of the stage."""

    def entered(self, unit: str, count: int = 1) -> None:
        """Units that came in."""

    def kept(self, unit: str, count: int = 1) -> None:
        """Units that went through."""

    def rejected(self, unit: str, reason: str, *, id: str, url: str | None = None, detail: str | None = None) -> None:
        """One unit dropped by its own fault (snake_case reason), stored in `rejected/STAGE`."""

    def rejected_with(
        self, unit: str, reason: str, *, id: str, others: Sequence[str], detail: str | None = None
    ) -> None:
        """Units dropped for one reason, whose ids are `id other` for each of `others`: neighbours of an image, say."""

    def failed(self, unit: str, error: str, *, id: str, url: str | None = None, detail: str | None = None) -> None:
        """One unit lost by our fault or a passing one (snake_case error), stored with reason `error:…`."""

    def deferred(self, unit: str, reason: str, *, id: str, url: str | None = None, detail: str | None = None) -> None:
        """One unit put off because a budget ran out; `--retry failed` takes it up."""

    def out(self, unit: str, count: int = 1) -> None:
        """Units that the stage made (pages out of records, pairs out of candidate pairs)."""


@dataclass
class FunnelEntry:
    """Counts of one unit in one stage; `entered = kept + rejected + failed + deferred` when `balanced`."""

    entered: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    deferred: int = 0

    def add(self, other: FunnelEntry) -> None:
        """Add another entry's counts to this one."""
        self.entered += other.entered
        self.kept += other.kept
        self.rejected.update(other.rejected)
        self.failed.update(other.failed)
        self.deferred += other.deferred

    @property
    def balanced(self) -> bool:
        """Whether every unit that came in is accounted for."""
        return self.entered == self.kept + self.rejected.total() + self.failed.total() + self.deferred

    def to_json(self) -> dict[str, Any]:
        """The counts as `funnel.json` and manifests write them, reasons sorted."""
        return {
            "in": self.entered,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "failed": dict(sorted(self.failed.items())),
            "deferred": self.deferred,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FunnelEntry:
        """Read what `to_json` wrote."""
        return cls(data["in"], data["kept"], Counter(data["rejected"]), Counter(data["failed"]), data["deferred"])


@dataclass
class Counts:
    """All counts of one shard or one stage: an entry for each unit, and what came out."""

    units: dict[str, FunnelEntry] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)

    def entry(self, unit: str) -> FunnelEntry:
        """The entry of a unit, made when it is first named."""
        found = self.units.get(unit)
        if found is None:
            if unit not in UNITS:
                raise ValueError(f"unknown unit {unit!r}; the units are {', '.join(UNITS)}")
            found = self.units[unit] = FunnelEntry()
        return found

    def add(self, other: Counts) -> None:
        """Add another shard's counts to these."""
        for unit, entry in other.units.items():
            self.entry(unit).add(entry)
        self.made.update(other.made)

    def unbalanced(self) -> list[str]:
        """Units whose sums do not hold: a fault of ours, never of the input."""
        return [unit for unit, entry in self.units.items() if not entry.balanced]

    def to_json(self) -> dict[str, Any]:
        """The counts as a manifest writes them."""
        return {
            "units": {unit: self.units[unit].to_json() for unit in UNITS if unit in self.units},
            "out": dict(sorted(self.made.items())),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counts:
        """Read what `to_json` wrote."""
        return cls({unit: FunnelEntry.from_json(entry) for unit, entry in data["units"].items()}, Counter(data["out"]))


def rejection_row(unit: str, id: str, url: str | None, reason: str, detail: str | None) -> dict[str, Any]:
    """One row of `rejected/STAGE`; details are cut to 500 characters."""
    return {"unit": unit, "id": id, "url": url, "reason": reason, "detail": detail[:500] if detail else detail}


class CountingOutcomes:
    """Counts outcomes and hands rows to `row`, which subclasses write. Rejections of sampled units keep, for each
    reason, the `sample_size` rows with the smallest hash of their id, whatever the order in which they come."""

    def __init__(self, sample_size: int = 20) -> None:
        self.counts = Counts()
        self._sample_size = sample_size
        self._samples: dict[tuple[str, str], dict[tuple[int, str], dict[str, Any]]] = {}
        #: The largest hash that a full sample holds.
        self._limits: dict[tuple[str, str], int] = {}

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        raise TypeError("a subclass says where rows go")

    def entered(self, unit: str, count: int = 1) -> None:
        self.counts.entry(unit).entered += count

    def kept(self, unit: str, count: int = 1) -> None:
        self.counts.entry(unit).kept += count

    def rejected(self, unit: str, reason: str, *, id: str, url: str | None = None, detail: str | None = None) -> None:
        self.counts.entry(unit).rejected[reason] += 1
        self._store(unit, id, url, reason, detail)

    def rejected_with(
        self, unit: str, reason: str, *, id: str, others: Sequence[str], detail: str | None = None
    ) -> None:
        self.counts.entry(unit).rejected[reason] += len(others)
        if unit not in SAMPLED_UNITS:
            for other in others:
                self._store(unit, f"{id} {other}", None, reason, detail)
            return
        # Hundreds for each image: only what may enter the sample becomes a row.
        limit = self._limits.get((unit, reason), _LARGEST)
        began = zlib.crc32(f"{id} ".encode())
        for other in others:
            if zlib.crc32(other.encode(), began) <= limit:
                self._store(unit, f"{id} {other}", None, reason, detail)

    def failed(self, unit: str, error: str, *, id: str, url: str | None = None, detail: str | None = None) -> None:
        self.counts.entry(unit).failed[error] += 1
        self._store(unit, id, url, f"error:{error}", detail)

    def deferred(self, unit: str, reason: str, *, id: str, url: str | None = None, detail: str | None = None) -> None:
        self.counts.entry(unit).deferred += 1
        self.row("deferred", rejection_row(unit, id, url, reason, detail))

    def out(self, unit: str, count: int = 1) -> None:
        self.counts.made[unit] += count

    def finish(self) -> None:
        """Write the samples of sampled units, sorted by id."""
        for key in sorted(self._samples):
            for row in sorted(self._samples[key].values(), key=lambda row: row["id"]):
                self.row("rejected", row)
        self._samples.clear()

    def _store(self, unit: str, id: str, url: str | None, reason: str, detail: str | None) -> None:
        row = rejection_row(unit, id, url, reason, detail)
        if unit not in SAMPLED_UNITS:
            self.row("rejected", row)
            return
        sample = self._samples.setdefault((unit, reason), {})
        rank = zlib.crc32(id.encode()), id
        if len(sample) < self._sample_size:
            sample[rank] = row
        elif rank[0] <= self._limits[unit, reason] and rank < (largest := max(sample)):
            sample[rank] = row
            if len(sample) > self._sample_size:
                del sample[largest]
        if len(sample) == self._sample_size:
            self._limits[unit, reason] = max(sample)[0]


class IgnoredOutcomes(CountingOutcomes):
    """Forgets rows: for looking ahead with a function whose outcomes another call reports."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Nothing."""


class CollectedOutcomes(CountingOutcomes):
    """Keeps all rows in memory, by table: for tests and for trying a stage on one input."""

    def __init__(self, sample_size: int = 20) -> None:
        super().__init__(sample_size)
        self.tables: dict[str, list[dict[str, Any]]] = {}

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        self.tables.setdefault(table, []).append(dict(row))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table so far, an empty list if there are none."""
        return self.tables.get(table, [])


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of many shards' counts."""
    result = Counts()
    for one in counts:
        result.add(one)
    return result
