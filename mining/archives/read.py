"""Opens any archive and reads its records: the one entrance for extraction."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import IO

from mining.archives.arc import read_arc
from mining.archives.http_stream import HttpStream
from mining.archives.inputs import ArchiveFile, kind_of
from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record, SourceLostError
from mining.archives.warc import read_warc, read_warc_at
from schemas.errors import ConfigurationError
from schemas.storage import filesystem

#: What the archives in a container may inflate to together, as a multiple of its size, beyond a gibibyte.
_RATIO = 200
_FLOOR = 1 << 30
#: What zipfile raises for containers that are broken, encrypted (RuntimeError), or of a kind it does not know.
_BROKEN_ZIP = (zipfile.BadZipFile, RuntimeError, ValueError, struct.error, zlib.error, EOFError)
_MIMES = {".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml", ".svg": "image/svg+xml"}


def read_records(source: ArchiveFile, limits: Limits, mark: Mark, quarantine: Quarantine) -> Iterator[Record | Damage]:
    """The records of an archive in its order, and a Damage for each stretch that cannot be read.

    An archive that cannot be opened or whose server fails is one Damage (`unreadable_archive`).
    """
    place = Place(source.path, "", 0)
    pulse = _Pulse(mark)
    try:
        if source.kind == "html":
            pulse(place.key)
            yield _file_record(source, limits)
            return
        with closing(open_archive(source.path, pulse.beat)) as stream:
            if source.kind == "wacz":
                yield from _read_wacz(stream, source.path, limits, pulse, quarantine)
            else:
                reader = read_arc if source.kind == "arc" else read_warc
                yield from reader(stream, source.path, "", limits, pulse, quarantine)
    except (OSError, *_BROKEN_ZIP, ConfigurationError) as error:
        yield Damage(place, "unreadable_archive", f"{type(error).__name__}: {error}")


class _Pulse:
    """A mark that can be given again: waiting for a server is no sign of a record that hangs."""

    def __init__(self, mark: Mark) -> None:
        self._mark, self._key = mark, ""

    def __call__(self, key: str) -> None:
        self._key = key
        self._mark(key)

    def beat(self) -> None:
        """The record in hand is still being read."""
        if self._key:
            self._mark(self._key)


def read_record_at(place: Place, url: str, limits: Limits) -> Record | None:
    """The record of an address again, at the place where an earlier reading found it; None if it is not there any more.

    A WARC record that stands where its place says is read alone. Otherwise, and in ARC files, whose members tell no
    places, the archive is read again up to it."""
    if kind_of(place.member or place.archive) == "warc":
        try:
            with _member(place.archive, place.member) as stream:
                found = read_warc_at(stream, place, limits)
        except (OSError, KeyError, *_BROKEN_ZIP):
            return None
        if found is not None and found.url == url:
            return found
    kind = kind_of(place.archive) or "html"
    for record in read_records(ArchiveFile(place.archive, kind, 0, "", url), limits, lambda key: None, {}):
        if isinstance(record, Record) and record.place == place and record.url == url:
            return record
    return None


@contextmanager
def _member(path: str, member: str) -> Iterator[IO[bytes]]:
    with closing(open_archive(path)) as stream:
        if not member:
            yield stream
            return
        with zipfile.ZipFile(stream) as container, container.open(member) as inner:
            yield inner


def open_archive(path: str, beat: Callable[[], None] = lambda: None) -> IO[bytes]:
    """A seekable stream of a file on any filesystem, or of an address over HTTP with resumption, which calls `beat`
    while it waits."""
    if path.startswith(("http://", "https://")):
        return io.BufferedReader(HttpStream(path, beat=beat), 1 << 20)
    fs, name = filesystem(path)
    stream: IO[bytes] = fs.open(name, "rb")
    return stream


def _read_wacz(
    stream: IO[bytes], archive: str, limits: Limits, mark: Mark, quarantine: Quarantine
) -> Iterator[Record | Damage]:
    """The archives in a WACZ, in the order of their names. Nothing is unpacked to disk, whatever members are called."""
    allowed = max(_FLOOR, _RATIO * stream.seek(0, io.SEEK_END))
    with zipfile.ZipFile(stream) as container:
        members = [one for one in container.infolist() if kind_of(one.filename) in ("warc", "arc")]
        for member in sorted(members, key=lambda one: one.filename):
            place = Place(archive, member.filename, 0)
            if member.filename.startswith("/") or ".." in member.filename.replace("\\", "/").split("/"):
                yield Damage(place, "unsafe_member_name", member.filename)
                continue
            mark(place.key)
            if member.file_size > allowed:
                yield Damage(place, "decompression_bomb", f"{member.compress_size} bytes say {member.file_size}")
                continue
            allowed -= member.file_size
            reader = read_arc if kind_of(member.filename) == "arc" else read_warc
            try:
                with container.open(member) as inner:
                    yield from reader(inner, archive, member.filename, limits, mark, quarantine)
            except SourceLostError:
                raise
            except (OSError, *_BROKEN_ZIP) as error:
                yield Damage(place, "broken_member", f"{type(error).__name__}: {error}")


def _file_record(source: ArchiveFile, limits: Limits) -> Record:
    """A file of a folder of HTML. Its date is unknown: a copy of the folder has other dates than the original."""
    place = Place(source.path, "", 0)
    mime = _MIMES.get(os.path.splitext(source.path)[1].lower())
    with closing(open_archive(source.path)) as stream:
        body = stream.read(limits.record_bytes + 1)
    if len(body) > limits.record_bytes:
        return Record(place, "response", source.url, None, b"", 200, mime=mime, too_large=True)
    return Record(place, "response", source.url, None, body, 200, mime=mime)
