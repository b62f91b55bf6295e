"""What readers of archives give: records with their bodies, and damage where nothing could be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

#: Says which record is in hand, before it is touched.
Mark = Callable[[str], None]
#: Keys of records that are not to be touched, with the reason.
Quarantine = Mapping[str, str]


class SourceLostError(OSError):
    """The source of an archive cannot be read any further: not the archive's fault, and no reading goes on."""


@dataclass(frozen=True)
class Limits:
    """Limits of reading: bytes of one record's block."""

    record_bytes: int = 64 << 20


@dataclass(frozen=True)
class Place:
    """Where a record stands: the archive, the member of a container (or ''), the offset in bytes of the compressed
    member or, without compression, of the record itself, and how many records stand before it in that member."""

    archive: str
    member: str
    offset: int
    index: int = 0

    @property
    def key(self) -> str:
        """The record's name in marks and in `rejected/`."""
        container = f"!{self.member}" if self.member else ""
        index = f"#{self.index}" if self.index else ""
        return f"{self.archive}{container}@{self.offset}{index}"

    @property
    def beyond(self) -> str:
        """Names in marks what stands between this record and the next one."""
        return f"{self.key}+"


@dataclass
class Record:
    """One capture. `headers` are those of the HTTP answer, `body` its body as it was sent (transfer coding undone)."""

    place: Place
    kind: str
    url: str
    date: datetime | None
    body: bytes
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    mime: str | None = None
    payload_digest: str | None = None
    refers_to: str | None = None
    too_large: bool = False

    def header(self, name: str) -> str | None:
        """The first header of this (lower-case) name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def header_values(self, name: str) -> list[str]:
        """All headers of this (lower-case) name."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True)
class Damage:
    """A stretch of an archive that could not be read, or a record whose reader died."""

    place: Place
    error: str
    detail: str
