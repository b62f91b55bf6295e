"""WARC files of any compression, by fastwarc; after damage reading goes on at the next record that can be read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record, SourceLostError, dechunk

_TYPES = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.revisit
#: How a file of each compression begins, and where a next record may begin in it.
_MAGICS = {
    b"\x1f\x8b": b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd": b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18": b"\x04\x22\x4d\x18",
}
_PLAIN = b"WARC/1."
_BLOCK = 1 << 20
_PIECE = 1 << 16


def read_warc(
    stream: IO[bytes], archive: str, member: str, limits: Limits, mark: Mark, quarantine: Quarantine
) -> Iterator[Record | Damage]:
    """Responses, resources and revisits of a WARC file, in its order; `stream` can seek.

    A stretch that cannot be read is one Damage (`broken_record`), whatever its length.
    """
    start: int | None = 0
    damaged = False
    while start is not None:
        place = Place(archive, member, start)
        last, found = start, False
        if place.key in quarantine:
            yield Damage(place, quarantine[place.key], "the reader's process died at this record")
            start = _next_start(stream, start + 1)
            continue
        mark(place.key)
        try:
            for record in _iterate(stream, start):
                found, damaged, last = True, False, record.stream_pos
                place = Place(archive, member, last)
                if place.key in quarantine:
                    break
                mark(place.key)
                if record.record_type & _TYPES:
                    yield _record(record, place, limits)
            else:
                if not found:
                    raise OSError("no WARC record begins here")
                return
        except SourceLostError:
            raise
        except OSError as error:
            if not found and not damaged:
                damaged = True
                yield Damage(place, "broken_record", str(error))
        start = _next_start(stream, last + 1) if place.key not in quarantine else last


def read_warc_at(stream: IO[bytes], place: Place, limits: Limits) -> Record | None:
    """The record at a place that an earlier reading gave; None if it cannot be read any more."""
    try:
        for record in _iterate(stream, place.offset):
            return _record(record, place, limits)
    except OSError:
        return None
    return None


def _iterate(stream: IO[bytes], start: int) -> Iterator[Any]:
    stream.seek(start)
    return iter(ArchiveIterator(stream, parse_http=True, quirks_mode=True, max_header_len=1 << 16))


def _record(record: Any, place: Place, limits: Limits) -> Record:
    headers = record.headers
    http = record.http_headers
    too_large = record.content_length > limits.record_bytes
    body = b"" if too_large else _body(record)
    pairs = [(str(key), str(value)) for key, value in http.items()] if http is not None else []
    if any(key.lower() == "transfer-encoding" and "chunked" in value.lower() for key, value in pairs):
        body = dechunk(body)
    return Record(
        place,
        str(record.record_type),
        (headers.get("WARC-Target-URI") or "").strip().strip("<>"),
        _date(headers.get("WARC-Date")),
        body,
        http.status_code if http is not None else None,
        pairs,
        _mime(pairs) if http is not None else _bare(headers.get("Content-Type")),
        (headers.get("WARC-Payload-Digest") or "").strip() or None,
        (headers.get("WARC-Refers-To-Target-URI") or "").strip().strip("<>") or None,
        too_large,
    )


def _body(record: Any) -> bytes:
    """The body as far as it can be read: a file that was cut still holds the beginning of its last record."""
    pieces: list[bytes] = []
    try:
        while piece := record.reader.read(_PIECE):
            pieces.append(piece)
    except SourceLostError:
        raise
    except OSError:
        if not pieces:
            raise
    return b"".join(pieces)


def _mime(headers: list[tuple[str, str]]) -> str | None:
    return _bare(next((value for key, value in headers if key.lower() == "content-type"), None))


def _bare(content_type: str | None) -> str | None:
    """`Text/HTML; charset=x` → `text/html`."""
    return (content_type or "").partition(";")[0].strip().lower() or None


def _date(text: str | None) -> datetime | None:
    try:
        date = datetime.fromisoformat((text or "").strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def _next_start(stream: IO[bytes], after: int) -> int | None:
    """Where, from `after` on, a record may begin; None at the end of the file."""
    stream.seek(0)
    head = stream.read(4)
    magic = next((wanted for begin, wanted in _MAGICS.items() if head.startswith(begin)), _PLAIN)
    stream.seek(after)
    position, tail = after, b""
    while block := stream.read(_BLOCK):
        window = tail + block
        found = window.find(magic)
        if found >= 0:
            return position - len(tail) + found
        position += len(block)
        tail = window[-(len(magic) - 1) :]
    return None


def seekable(stream: IO[bytes]) -> IO[bytes]:
    """The stream itself, or its whole content where it cannot seek."""
    return stream if stream.seekable() else io.BytesIO(stream.read())
