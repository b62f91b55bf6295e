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
    """Limits of reading, in bytes: of one record's block, and of what one archive may inflate to."""

    record_bytes: int = 64 << 20
    archive_bytes: int = 1 << 40


@dataclass(frozen=True)
class Place:
    """Where a record stands: the archive, the member of a container (or ''), and the offset that `read_at` takes."""

    archive: str
    member: str
    offset: int

    @property
    def key(self) -> str:
        """The record's name in marks and in `rejected/`."""
        return f"{self.archive}{'!' + self.member if self.member else ''}@{self.offset}"


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


def dechunk(body: bytes) -> bytes:
    """Undo the chunked transfer coding. A body that is not chunked after all, as some crawlers store it, comes back
    as it is; one that was cut comes back as far as it goes."""
    parts: list[bytes] = []
    start = 0
    while True:
        end = body.find(b"\r\n", start, start + 64)
        size_text = body[start:end].split(b";")[0].strip() if end >= 0 else b""
        try:
            size = int(size_text, 16) if size_text and not size_text.startswith((b"-", b"+")) else -1
        except ValueError:
            size = -1
        if size < 0:
            return b"".join(parts) if parts else body
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        start = end + 2 + size
        if start >= len(body):
            return b"".join(parts)
        if body[start : start + 2] == b"\r\n":
            start += 2
