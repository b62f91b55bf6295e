"""Opens any archive and reads its records: the one entrance for extraction."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import IO

from mining.archives.arc import read_arc, read_arc_at
from mining.archives.http_stream import HttpStream
from mining.archives.inputs import ArchiveFile, kind_of
from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record
from mining.archives.warc import read_warc, read_warc_at
from schemas.errors import ConfigurationError
from schemas.storage import filesystem

#: What a member of a container may inflate to, as a multiple of its size, beyond a gibibyte.
_MEMBER_RATIO = 1000
_MEMBER_FLOOR = 1 << 30


def read_records(source: ArchiveFile, limits: Limits, mark: Mark, quarantine: Quarantine) -> Iterator[Record | Damage]:
    """The records of an archive in its order, and a Damage for each stretch that cannot be read.

    An archive that cannot be opened or whose server fails is one Damage (`unreadable_archive`).
    """
    place = Place(source.path, "", 0)
    try:
        if source.kind == "html":
            yield _file_record(source)
            return
        with closing(open_archive(source.path)) as stream:
            if source.kind == "wacz":
                yield from _read_wacz(stream, source.path, limits, mark, quarantine)
            else:
                reader = read_arc if source.kind == "arc" else read_warc
                yield from reader(stream, source.path, "", limits, mark, quarantine)
    except (OSError, zipfile.BadZipFile, ConfigurationError) as error:
        yield Damage(place, "unreadable_archive", f"{type(error).__name__}: {error}")


def read_record_at(path: str, member: str, offset: int, limits: Limits) -> Record | None:
    """Read one record again at the place where an earlier reading found it; None if it is not there any more."""
    place = Place(path, member, offset)
    kind = kind_of(member or path)
    try:
        with closing(open_archive(path)) as stream:
            reader = read_arc_at if kind == "arc" else read_warc_at
            if not member:
                return reader(stream, place, limits)
            with zipfile.ZipFile(stream) as container, container.open(member) as inner:
                return reader(inner, place, limits)
    except (OSError, KeyError, zipfile.BadZipFile):
        return None


def open_archive(path: str) -> IO[bytes]:
    """A seekable stream of a file on any filesystem, or of an address over HTTP with resumption."""
    if path.startswith(("http://", "https://")):
        return io.BufferedReader(HttpStream(path), 1 << 20)
    fs, name = filesystem(path)
    stream: IO[bytes] = fs.open(name, "rb")
    return stream


def _read_wacz(
    stream: IO[bytes], archive: str, limits: Limits, mark: Mark, quarantine: Quarantine
) -> Iterator[Record | Damage]:
    """The archives in a WACZ, in the order of their names. Nothing is unpacked to disk, whatever members are called."""
    with zipfile.ZipFile(stream) as container:
        members = [one for one in container.infolist() if kind_of(one.filename) in ("warc", "arc")]
        for member in sorted(members, key=lambda one: one.filename):
            place = Place(archive, member.filename, 0)
            if member.filename.startswith("/") or ".." in member.filename.replace("\\", "/").split("/"):
                yield Damage(place, "unsafe_member_name", member.filename)
                continue
            mark(place.key)
            if member.file_size > max(_MEMBER_FLOOR, member.compress_size * _MEMBER_RATIO):
                yield Damage(place, "decompression_bomb", f"{member.compress_size} bytes say {member.file_size}")
                continue
            reader = read_arc if kind_of(member.filename) == "arc" else read_warc
            try:
                with container.open(member) as inner:
                    yield from reader(inner, archive, member.filename, limits, mark, quarantine)
            except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError) as error:
                # RuntimeError is zipfile's word for an encrypted member.
                yield Damage(place, "broken_member", f"{type(error).__name__}: {error}")


def _file_record(source: ArchiveFile) -> Record:
    """A file of a folder of HTML. Its date is unknown: a copy of the folder has other dates than the original."""
    fs, name = filesystem(source.path)
    return Record(Place(source.path, "", 0), "response", source.url, None, bytes(fs.cat_file(name)), 200)
