"""ARC files, versions 1 and 2 (Internet Archive, before WARC): a line of metadata before each document.

warcio reads them too, but gives up at compressed files without a member a record and at the first broken line; here
reading goes on at the next line or member that can be one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO

from mining.archives.compressed import ArchiveStream
from mining.archives.http_answer import HeadTooLongError, split_answer
from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record, SourceLostError

#: Address, IP address, date, media type, (version 2: result code, checksum, location, offset, file name,) length.
_LINE = re.compile(
    rb"(\S[^\r\n]*) (?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+|-) (\d{8,17}|null|-) (\S+)"
    rb"(?: \d+ \S+ \S+ \d+ \S+)? (\d+)\r?\n"
)
_LINE_AFTER_BREAK = re.compile(rb"(?<=\n)" + _LINE.pattern)
_LINE_LIMIT = 1 << 13
_AHEAD = 256


def read_arc(
    stream: IO[bytes], archive: str, member: str, limits: Limits, mark: Mark, quarantine: Quarantine
) -> Iterator[Record | Damage]:
    """The documents of an ARC file, in its order; `stream` can seek. A stretch that cannot be read is one Damage
    (`broken_record`); a document that is cut comes as far as it goes."""
    source = ArchiveStream(stream, member or archive)
    start: int | None = 0
    reported = False
    while start is not None:
        text = _Text(source, start)
        place = Place(archive, member, start)
        whole = True
        try:
            while whole and (line := text.line()):
                place = Place(archive, member, *text.began)
                found = _LINE.fullmatch(line)
                if found is None:
                    if line.strip() and not reported:
                        reported = True
                        yield Damage(place, "broken_record", f"no metadata line: {line[:80]!r}")
                    continue
                reported = False
                mark(place.key)
                length = int(found[4][:18])
                too_large = length > limits.record_bytes
                block = b"" if too_large else text.document(length)
                whole = text.skip(length) == length if too_large else len(block) == length or bool(text.peek())
                if place.key in quarantine:
                    yield Damage(place, quarantine[place.key], "the reader's process died at this record")
                elif not found[1].startswith(b"filedesc:"):
                    yield _record(found, block, place, too_large)
            if whole:
                return
            # Cut, or its length is a lie.
            reported = True
        except SourceLostError:
            raise
        except OSError as error:
            if not reported:
                reported = True
                yield Damage(place, "broken_record", str(error))
        start = source.next_start(place.offset + 1, _LINE_AFTER_BREAK)


class _Text:
    """The inflated content of an ARC file, and where its lines begin: `began` is the offset of the compressed member,
    or without compression of the line itself, and the number of the line among those read in that member."""

    def __init__(self, source: ArchiveStream, start: int) -> None:
        self._source, self._reader = source, source.text_reader(start)
        #: What was read ahead, piece by piece, with the member of each.
        self._ahead: deque[tuple[bytes, int]] = deque()
        self._error: OSError | None = None
        self._offset = start
        self.began = (-1, 0)

    def line(self) -> bytes:
        """A line with its end; b"" at the end of the file. What has no end within a limit is cut there."""
        held = self._look(1)
        if not self._source.compression:
            self.began = (self._offset, 0)
        elif self._ahead and self._ahead[0][1] != self.began[0]:
            self.began = (self._ahead[0][1], 0)
        else:
            self.began = (self.began[0], self.began[1] + 1)
        while (end := held.find(b"\n")) < 0 and len(held) < _LINE_LIMIT:
            before, held = len(held), self._look(len(held) + _AHEAD)
            if len(held) == before:
                break
        if not held and self._error is not None:
            raise self._error
        return self._take(end + 1 if end >= 0 else min(len(held), _LINE_LIMIT))

    def document(self, length: int) -> bytes:
        """A document of so many bytes, fewer at the end of the file. Where no metadata line follows it, but one stands
        in it, its length is a lie: it ends there."""
        parts: list[bytes] = []
        held = 0
        while held < length and (more := self._take(min(length - held, 1 << 16)) or self._next(length - held)):
            parts.append(more)
            held += len(more)
        block = b"".join(parts)
        following = self.peek()
        if (not following and len(block) == length) or _LINE.match(following) is not None:
            return block
        inner = _LINE_AFTER_BREAK.search(block)
        if inner is None:
            return block
        self._ahead.appendleft((block[inner.start() :], self.began[0]))
        self._offset -= len(block) - inner.start()
        return block[: inner.start()]

    def peek(self) -> bytes:
        """What follows, without the line ends before it; as long as a metadata line at least, if there is as much."""
        return self._look(_LINE_LIMIT).lstrip(b"\r\n")

    def skip(self, length: int) -> int:
        """Pass over so many bytes; how many there were."""
        passed = 0
        while passed < length and (more := self._take(length - passed) or self._next(length - passed)):
            passed += len(more)
        return passed

    def _next(self, length: int) -> bytes:
        self._look(min(length, 1 << 16))
        return self._take(length)

    def _look(self, length: int) -> bytes:
        """The next bytes, so many if they can be read, without taking them."""
        held = sum(len(piece) for piece, _ in self._ahead)
        while held < length and self._error is None:
            try:
                more = self._reader.read(max(_AHEAD, length - held))
            except SourceLostError:
                raise
            except OSError as error:
                # What stands before it comes first.
                self._error = error
                break
            if not more:
                break
            member = self._reader.frame_start_position() if self._source.compression else 0
            self._ahead.append((more, member or 0))
            held += len(more)
        return b"".join(piece for piece, _ in self._ahead)

    def _take(self, length: int) -> bytes:
        """So many of the bytes that were looked at."""
        parts: list[bytes] = []
        while length > 0 and self._ahead:
            piece, member = self._ahead.popleft()
            parts.append(piece[:length])
            if len(piece) > length:
                self._ahead.appendleft((piece[length:], member))
            length -= len(parts[-1])
        taken = b"".join(parts)
        self._offset += len(taken)
        return taken


def _record(found: re.Match[bytes], block: bytes, place: Place, too_large: bool) -> Record | Damage:
    try:
        status, headers, body = split_answer(block)
    except HeadTooLongError as error:
        return Damage(place, "broken_record", str(error))
    declared = next((value for key, value in headers if key.lower() == "content-type"), found[3].decode("latin-1"))
    return Record(
        place,
        "response",
        found[1].decode("utf-8", "replace"),
        _date(found[2].decode()),
        body,
        status,
        headers,
        declared.partition(";")[0].strip().lower() or None,
        too_large=too_large,
    )


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
