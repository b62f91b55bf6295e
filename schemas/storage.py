"""One filesystem layer, fsspec, for every path that a user may name: local folders, s3://, gs://, hdfs://, memory://."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from schemas.errors import ConfigurationError

#: Protocols of stores that have keys and no folders.
_WITHOUT_FOLDERS = frozenset({"s3", "gs", "abfs"})


def filesystem(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem of a path or address and the path on it. Unknown schemes say which package is missing."""
    # Other processes write: what a store listed a moment ago is no answer to what is there.
    options = {"use_listings_cache": False} if "://" in path and "::" not in path else {}
    try:
        fs, root = fsspec.core.url_to_fs(path, **options)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"cannot open {path}: {error}") from error
    return fs, root


@dataclass(frozen=True)
class Folder:
    """A folder on any filesystem, named by one string so that it travels to workers as text."""

    path: str

    @property
    def fs(self) -> fsspec.AbstractFileSystem:
        """The filesystem (fsspec caches instances)."""
        return filesystem(self.path)[0]

    @property
    def root(self) -> str:
        """The path on the filesystem, without a trailing slash."""
        return filesystem(self.path)[1].rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the folder lies on a local disk."""
        return isinstance(self.fs, LocalFileSystem)

    def at(self, *parts: str) -> str:
        """A path below the folder, as the filesystem writes it."""
        return "/".join([self.root, *parts])

    def open(self, name: str, mode: str = "rb") -> IO[Any]:
        """Open a file below the folder; writing makes its parent folders."""
        if "w" in mode:
            return self.fs.open(self._for_writing(name), mode)
        return self.fs.open(self.at(name), mode)

    def _for_writing(self, name: str) -> str:
        """A path below the folder, whose parent folders are there; object stores have none, and would make buckets."""
        path = self.at(name)
        protocol = self.fs.protocol
        if not _WITHOUT_FOLDERS & set((protocol,) if isinstance(protocol, str) else protocol):
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        return path

    def exists(self, name: str) -> bool:
        """Whether a file or folder of this name is there."""
        return bool(self.fs.exists(self.at(name)))

    def list(self, name: str) -> list[str]:
        """Base names below a folder, sorted; an absent folder is empty. What a kill left half made is not seen."""
        path = self.at(name) if name else self.root
        self.fs.invalidate_cache(path)
        try:
            entries = self.fs.ls(path, detail=False)
        except FileNotFoundError:
            return []
        names = (entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries)
        return sorted(name for name in names if name and not _PART.search(name))

    def half_made(self, name: str) -> Sequence[str]:
        """Names, relative to this folder, of the files below a local folder that a kill left half made."""
        found = []
        if self.is_local:
            for parent, _, files in os.walk(self.at(name)):
                found += [os.path.relpath(os.path.join(parent, one), self.root) for one in files if _PART.search(one)]
        return sorted(found)

    def read(self, name: str) -> bytes:
        """All bytes of a file."""
        return bytes(self.fs.cat_file(self.at(name)))

    def read_json(self, name: str) -> Any:
        """A JSON file."""
        return json.loads(self.read(name))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file if it is absent, whole or not at all: True if we made it, False if another was first."""
        path = self._for_writing(name)
        if self.is_local:
            return _create_local(path, data)
        try:
            self.fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Write a file whole, replacing one that is there (on a local disk at once, by rename)."""
        path = self._for_writing(name)
        if self.is_local:
            part = _part(path)
            try:
                _write_synced(part, data)
                os.replace(part, path)
            except OSError:
                _remove_if_there(part)
                raise
        else:
            self.fs.pipe_file(path, data)

    def remove(self, name: str, recursive: bool = False) -> None:
        """Remove a file or folder; an absent one is no error."""
        try:
            self.fs.rm(self.at(name), recursive=recursive)
        except FileNotFoundError:
            return

    @contextmanager
    def parquet_writer(self, name: str, schema: Any, **settings: Any) -> Iterator[pq.ParquetWriter]:
        """A parquet writer below the folder; the file is removed if the body raises."""
        path = self._for_writing(name)
        try:
            with self.fs.open(path, "wb") as sink, pq.ParquetWriter(sink, schema, **PARQUET | settings) as writer:
                yield writer
        except BaseException:
            self.remove(name)
            raise


#: Pinned writer settings: equal rows give equal bytes.
PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "version": "2.6",
    "data_page_version": "1.0",
    "write_statistics": True,
    "store_schema": True,
}


#: Names of files that are not whole yet.
_PART = re.compile(r"\.[0-9a-f]{32}\.part$")
#: What a disk without hard links answers.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def _part(path: str) -> str:
    return f"{path}.{uuid.uuid4().hex}.part"


def _remove_if_there(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _write_synced(path: str, data: bytes) -> None:
    with open(path, "wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())


def _create_local(path: str, data: bytes) -> bool:
    """A hard link is made at once or not at all, so that a reader never sees half a file after a kill."""
    part = _part(path)
    try:
        _write_synced(part, data)
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise ConfigurationError(
                f"the disk of {path} knows no hard links, by which files are made at once: choose another --output."
            ) from error
        raise
    finally:
        _remove_if_there(part)
    return True


def file_digest(read: Callable[[int], bytes]) -> tuple[str, int]:
    """Hex SHA-256 and size of a stream, read in blocks of 1 MiB."""
    state, size = hashlib.sha256(), 0
    while block := read(1 << 20):
        state.update(block)
        size += len(block)
    return state.hexdigest(), size
