"""What became of the records of a conversion: triplets, texts joined to others, and rejections by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.errors import ConfigurationError
from training.data.layouts.interface import UNREADABLE, Rejected, Triplet


@dataclass
class Reason:
    """How often, and where first."""

    count: int
    first: str


@dataclass
class Tally:
    """`records = triplets + joined + rejected`."""

    records: int = 0
    triplets: int = 0
    #: Records that are further texts of a triplet.
    joined: int = 0
    rejected: dict[str, Reason] = field(default_factory=dict)
    #: Distinct image paths that lead to no file, and some of them.
    missing: int = 0
    missing_some: list[str] = field(default_factory=list)

    def add(self, one: Triplet | Rejected) -> None:
        """Count what was read."""
        if isinstance(one, Triplet):
            self.records += one.records
            self.triplets += 1
            self.joined += one.records - 1
        else:
            self.records += 1
            self.reject(one.reason, str(one))

    def reject(self, reason: str, first: str) -> None:
        """Count a rejection."""
        self.rejected.setdefault(reason, Reason(0, first)).count += 1

    def drop(self, reason: str, first: str) -> None:
        """Count a triplet as rejected after all."""
        self.triplets -= 1
        self.reject(reason, first)

    def merge(self, other: Tally) -> None:
        """Add what another file gave."""
        self.records += other.records
        self.triplets += other.triplets
        self.joined += other.joined
        for reason, one in other.rejected.items():
            self.rejected.setdefault(reason, Reason(0, one.first)).count += one.count

    def check_file(self, layout: str) -> None:
        """Raises ConfigurationError where a file's records are all unreadable."""
        if self.records and not self.triplets and set(self.rejected) <= UNREADABLE:
            first = next(iter(self.rejected.values())).first
            raise ConfigurationError(
                f"no record can be read as {layout}: the first is {first}: write the file anew or take it away."
            )

    def told(self) -> list[str]:
        """Sentences on what is left out and why, the most frequent reason first."""
        said = [f"{self.joined} records are further texts of a triplet"] if self.joined else []
        for reason, one in sorted(self.rejected.items(), key=lambda item: (-item[1].count, item[0])):
            said.append(f"{one.count} of {self.records} records are left out, {reason}: the first is {one.first}")
        if self.missing:
            said.append(f"{self.missing} image files are not there, such as {self.missing_some[0]}")
        return said

    def facts(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Tally:
        """What `facts` gave."""
        return cls(**{**facts, "rejected": {name: Reason(**one) for name, one in facts["rejected"].items()}})
