"""WARC files of any compression, by fastwarc; after damage reading goes on at the next record that can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from mining.archives.compressed import ArchiveStream
from mining.archives.http_answer import Headers, HeadTooLongError, split_answer
from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record, SourceLostError

_TYPES = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.revisit
_PLAIN = re.compile(rb"WARC/[01]\.\d")
_NEXT_HEADER = b"\r\n\r\nWARC/1."
_WARC_HEAD_LIMIT = 1 << 16
_PIECE = 1 << 16
#: Beyond so many bytes a record that is not read is not inflated either: the next member is looked for instead.
_SKIPPED = 1 << 30
_MEDIA_TYPE = re.compile(r"[^;,\s]+")


class _BrokenRecordError(Exception):
    """A record that is of no use: the message says why, `lost` whether its end cannot be found either."""

    def __init__(self, why: str, lost: bool = False) -> None:
        super().__init__(why)
        self.lost = lost


def read_warc(
    stream: IO[bytes], archive: str, member: str, limits: Limits, mark: Mark, quarantine: Quarantine
) -> Iterator[Record | Damage]:
    """Responses, resources and revisits of a WARC file, in its order; `stream` can seek.

    A stretch that cannot be read is one Damage (`broken_record`), whatever its length. A record that is cut comes as
    far as it goes.
    """
    yield from _Reading(ArchiveStream(stream, member or archive), archive, member, limits, mark, quarantine).records()


class _Reading:
    """One reading of a file: stretches of records, each up to where damage or a lie about a length ends it."""

    def __init__(
        self, source: ArchiveStream, archive: str, member: str, limits: Limits, mark: Mark, quarantine: Quarantine
    ) -> None:
        self._source, self._archive, self._member = source, archive, member
        self._limits, self._mark, self._quarantine = limits, mark, quarantine
        self._last = Place(archive, member, 0)
        #: Whether damage was told of and no record has been found since; whether the last record was whole.
        self._told, self._sound = False, True

    def records(self) -> Iterator[Record | Damage]:
        """All records that can be read, and what cannot."""
        start: int | None = 0
        while start is not None:
            self._last, self._sound = Place(self._archive, self._member, start), True
            if self._last.key in self._quarantine:
                yield self._died(self._last.key)
                start = self._following()
                continue
            self._mark(self._last.key)
            found = False
            try:
                for one in self._stretch(start):
                    found = True
                    if one is not None:
                        yield one
                if not found:
                    raise OSError("no WARC record begins here")
                if self._sound:
                    return
            except SourceLostError:
                raise
            except OSError as error:
                if not self._told and (not found or (self._sound and self._following() is None)):
                    yield self._damage(str(error))
            start = self._following()

    def _stretch(self, start: int) -> Iterator[Record | Damage | None]:
        """The records from `start` on, None for those of other kinds; ends after one that is not sound."""
        for place, record in _records(self._source, start, self._archive, self._member):
            self._last, self._told = place, False
            if self._last.key in self._quarantine:
                yield self._died(self._last.key)
            elif record.record_type & _TYPES:
                self._mark(self._last.key)
                yield self._record(record)
            else:
                yield None
            if not self._sound:
                # Its length is a lie or its end is missing: fastwarc would look for the next one far behind.
                self._told = True
                return
            if self._last.beyond in self._quarantine:
                self._sound = False
                yield self._died(self._last.beyond)
                return
            self._mark(self._last.beyond)

    def _record(self, record: Any) -> Record | Damage:
        try:
            made, self._sound = _record(record, self._last, self._limits, self._mark)
        except _BrokenRecordError as error:
            self._sound = not error.lost
            return self._damage(str(error))
        return made

    def _following(self) -> int | None:
        return self._source.next_start(self._last.offset + 1, _PLAIN)

    def _damage(self, detail: str) -> Damage:
        self._told = True
        return Damage(self._last, "broken_record", detail)

    def _died(self, key: str) -> Damage:
        return Damage(self._last, self._quarantine[key], "the reader's process died here")


def read_warc_at(stream: IO[bytes], place: Place, limits: Limits) -> Record | None:
    """The record at a place that an earlier reading gave; None if it cannot be read any more."""
    source = ArchiveStream(stream, place.member or place.archive)
    try:
        for at, record in _records(source, place.offset, place.archive, place.member):
            if at.index == place.index:
                return _record(record, at, limits, lambda key: None)[0]
    except SourceLostError:
        raise
    except (OSError, _BrokenRecordError):
        return None
    return None


def _records(source: ArchiveStream, start: int, archive: str, member: str) -> Iterator[tuple[Place, Any]]:
    """The records from `start` on with their places; OSError where nothing can be read."""
    reader = source.reader(start)
    offset, index = -1, 0
    for record in ArchiveIterator(reader, parse_http=False, quirks_mode=True, max_header_len=_WARC_HEAD_LIMIT):
        begins = reader.frame_start_position() if source.tells_members else record.stream_pos
        index = index + 1 if begins == offset else 0
        offset = begins
        yield Place(archive, member, offset, index), record


def _record(record: Any, place: Place, limits: Limits, mark: Mark) -> tuple[Record, bool]:
    """The record, and whether the next one follows where it ends."""
    headers = record.headers
    block, too_large, sound = _block(record, place, limits, mark)
    kind = str(record.record_type)
    status: int | None = None
    pairs: Headers = []
    body = block
    if kind != "resource" and (record.is_http or block.startswith(b"HTTP/")):
        try:
            status, pairs, body = split_answer(block)
        except HeadTooLongError as error:
            raise _BrokenRecordError(str(error)) from error
        declared = next((value for name, value in pairs if name.lower() == "content-type"), None)
    else:
        declared = headers.get("Content-Type")
    made = Record(
        place,
        kind,
        (headers.get("WARC-Target-URI") or "").strip().strip("<>"),
        _date(headers.get("WARC-Date")),
        body,
        status,
        pairs,
        _bare(declared),
        (headers.get("WARC-Payload-Digest") or "").strip() or None,
        (headers.get("WARC-Refers-To-Target-URI") or "").strip().strip("<>") or None,
        too_large,
    )
    return made, sound


def _block(record: Any, place: Place, limits: Limits, mark: Mark) -> tuple[bytes, bool, bool]:
    """The block as far as it can be read, whether it is too large to be read, and whether it has its stated length."""
    stated = (record.headers.get("Content-Length") or "").strip()
    if not (stated.isascii() and stated.isdigit()):
        raise _BrokenRecordError(f"the Content-Length is {stated[:40]!r}")
    length = int(stated[:18])
    if length > limits.record_bytes:
        return b"", True, _skip(record, length, place, mark)
    pieces: list[bytes] = []
    held = 0
    try:
        while piece := record.reader.read(_PIECE):
            pieces.append(piece)
            held += len(piece)
    except SourceLostError:
        raise
    except OSError as error:
        if not pieces:
            raise _BrokenRecordError(str(error), lost=True) from error
    block = b"".join(pieces)
    if held >= length:
        return block, False, True
    return block.partition(_NEXT_HEADER)[0], False, False


def _skip(record: Any, length: int, place: Place, mark: Mark) -> bool:
    """Pass over a block; whether it ended where it says, within what a block may cost."""
    passed = 0
    while passed < min(length, _SKIPPED):
        step = record.reader.consume(1 << 20)
        if not step:
            return False
        passed += step
        mark(place.key)
    return passed >= length


def _bare(content_type: str | None) -> str | None:
    """`Text/HTML; charset=x` → `text/html`."""
    found = _MEDIA_TYPE.search(content_type or "")
    return found[0].lower() if found else None


def _date(text: str | None) -> datetime | None:
    try:
        date = datetime.fromisoformat((text or "").strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
