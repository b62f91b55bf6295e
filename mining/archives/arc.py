"""ARC files, versions 1 and 2 (Internet Archive, before WARC): a line of metadata before each document.

warcio reads them too, but gives up at compressed files without a member a record and at the first broken line; here
reading goes on at the next line that can be one.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import BytesParser
from typing import IO

from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record, SourceLostError, dechunk

#: Address, IP address, date, media type, (version 2: result code, checksum, location, offset, file name,) length.
_LINE = re.compile(rb"(\S.*) (\d{1,3}(?:\.\d{1,3}){3}|-) (\d{12,14}|-) (\S+)(?: \d+ \S+ \S+ \d+ \S+)? (\d+)\r?\n")
_LINE_LIMIT = 1 << 16
_HEAD_LIMIT = 1 << 16


def read_arc(
    stream: IO[bytes], archive: str, member: str, limits: Limits, mark: Mark, quarantine: Quarantine
) -> Iterator[Record | Damage]:
    """The documents of an ARC file, in its order. Offsets count uncompressed bytes."""
    source = _uncompressed(stream)
    offset, damaged = 0, False
    place = Place(archive, member, 0)
    try:
        while line := source.readline(_LINE_LIMIT):
            place = Place(archive, member, offset)
            offset += len(line)
            found = _LINE.fullmatch(line)
            if found is None:
                if line.strip() and not damaged:
                    damaged = True
                    yield Damage(place, "broken_record", f"no metadata line: {line[:80]!r}")
                continue
            damaged = False
            length = int(found[5])
            mark(place.key)
            too_large = length > limits.record_bytes
            block = _skip(source, length) if too_large else source.read(length)
            offset += length if too_large else len(block)
            if place.key in quarantine:
                yield Damage(place, quarantine[place.key], "the reader's process died at this record")
            elif not found[1].startswith(b"filedesc:"):
                yield _record(found, block, place, too_large)
    except SourceLostError:
        raise
    except (EOFError, OSError, zlib.error) as error:
        yield Damage(place, "broken_record", f"{type(error).__name__}: {error}")


def read_arc_at(stream: IO[bytes], place: Place, limits: Limits) -> Record | None:
    """The document at a place that an earlier reading gave; None if it cannot be read any more."""
    for record in read_arc(stream, place.archive, place.member, limits, lambda key: None, {}):
        if isinstance(record, Record) and record.place.offset == place.offset:
            return record
    return None


def _uncompressed(stream: IO[bytes]) -> IO[bytes]:
    stream.seek(0)
    head = stream.read(2)
    stream.seek(0)
    if head == b"\x1f\x8b":
        return io.BufferedReader(_Tolerant(gzip.GzipFile(fileobj=stream)), 1 << 16)  # type: ignore[type-var]
    return stream


class _Tolerant(io.RawIOBase):
    """What a gzip file holds, up to where it is cut."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source, self._ended = source, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if self._ended:
            return 0
        try:
            data = self._source.read1(len(buffer))
        except EOFError:
            self._ended = True
            return 0
        buffer[: len(data)] = data
        return len(data)


def _skip(source: IO[bytes], length: int) -> bytes:
    while length > 0 and (piece := source.read(min(length, 1 << 20))):
        length -= len(piece)
    return b""


def _record(found: re.Match[bytes], block: bytes, place: Place, too_large: bool) -> Record:
    status, headers, body = _http(block)
    if any(key.lower() == "transfer-encoding" and "chunked" in value.lower() for key, value in headers):
        body = dechunk(body)
    declared = next((value for key, value in headers if key.lower() == "content-type"), found[4].decode("latin-1"))
    return Record(
        place,
        "response",
        found[1].decode("utf-8", "replace"),
        _date(found[3].decode()),
        body,
        status,
        headers,
        declared.partition(";")[0].strip().lower() or None,
        too_large=too_large,
    )


def _http(block: bytes) -> tuple[int | None, list[tuple[str, str]], bytes]:
    """Status, headers and body; a block that is no HTTP answer is all body."""
    if not block.startswith(b"HTTP/"):
        return None, [], block
    ends = [(block.find(end, 0, _HEAD_LIMIT), len(end)) for end in (b"\r\n\r\n", b"\n\n")]
    start, size = min(((at, size) for at, size in ends if at >= 0), default=(len(block), 0))
    line, _, rest = block[:start].partition(b"\n")
    parts = line.split(None, 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
    message = BytesParser().parsebytes(rest + b"\n\n", headersonly=True)
    return status, [(key, str(value)) for key, value in message.items()], block[start + size :]


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
