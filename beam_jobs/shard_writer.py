"""The `Outcomes` of a shard job: rows to parquet files as they come, counts to the manifest that commits them."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs.workspace import DataFile, Manifest, Workspace, stage_of
from schemas.outcomes import CountingOutcomes, Counts
from schemas.storage import PARQUET
from schemas.tables import TABLES, Table

#: A row group closes at this many bytes of rows, or at this many rows.
ROW_GROUP_BYTES = 8 << 20
ROW_GROUP_ROWS = 4096
#: Tables that are read row by row by location have small row groups.
SMALL_ROW_GROUPS = {"images": 256}
#: What a child process adds to the name of its parent's attempt where both write.
_CHILD_ENDS = ("", "f")


class _HashingSink:
    """A file being written, with its SHA-256 and size."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self.state = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        if self.closed:
            # A parquet writer that is given up writes its footer when it is collected.
            return memoryview(data).nbytes
        view = memoryview(data)
        self.state.update(view)
        self.size += view.nbytes
        return self._sink.write(view)

    def flush(self) -> None:
        if not self.closed:
            self._sink.flush()

    def tell(self) -> int:
        return self.size

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._sink.close()

    def abandon(self) -> None:
        """Close without regard for what is written: on a full disk, closing fails as writing did."""
        self.closed = True
        with suppress(OSError):
            self._sink.close()


class _TableFile:
    """One parquet file under construction; row groups close by bytes so that memory does not grow with rows."""

    def __init__(self, workspace: Workspace, table: Table, folder: str, name: str) -> None:
        self.path = f"{folder}/{name}"
        self._schema = table.with_metadata()
        self._sink = _HashingSink(workspace.folder.open(self.path, "wb"))
        self._writer = pq.ParquetWriter(self._sink, self._schema, **PARQUET)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0
        self._limit = SMALL_ROW_GROUPS.get(table.name, ROW_GROUP_ROWS)
        self._names = frozenset(self._schema.names)
        self.rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        if not row.keys() <= self._names:
            raise ValueError(f"{self.path}: unknown columns {sorted(row.keys() - self._names)}")
        self._rows.append(row)
        self._bytes += 64 + sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
        if self._bytes >= ROW_GROUP_BYTES or len(self._rows) >= self._limit:
            self.flush()

    def add_columns(self, table: pa.Table) -> None:
        """Rows that are columns already: row groups of their own."""
        self.flush()
        self._writer.write_table(table.cast(self._schema), row_group_size=self._limit)
        self.rows += table.num_rows

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self.rows += len(self._rows)
            self._rows, self._bytes = [], 0

    def close(self) -> DataFile:
        self.flush()
        self._writer.close()
        self._sink.close()
        return DataFile(self.path, self.rows, self._sink.size, self._sink.state.hexdigest())

    def abandon(self) -> None:
        """Let go of the file without finishing it: whatever cannot be written now, it is not wanted."""
        self._sink.abandon()


@dataclass(frozen=True)
class WrittenShard:
    """The closed files, the counts (as JSON) and the notes of one attempt."""

    files: dict[str, list[DataFile]]
    counts: dict[str, Any]
    notes: dict[str, Any]


class ShardWriter(CountingOutcomes):
    """Outcomes of one attempt at one shard. Files have attempt-unique names and are never renamed; `commit` creates
    the manifest, and an attempt that lost, or was left by an exception, removes its own files."""

    def __init__(self, workspace: Workspace, stage: str, key: str, attempt: str | None = None) -> None:
        super().__init__()
        self._workspace, self._stage, self._key = workspace, stage, key
        #: Tells this attempt's files from those of others. A child process that writes for us is given it.
        self.attempt = attempt or uuid.uuid4().hex[:8]
        self._files: dict[str, _TableFile] = {}
        self._done: dict[str, list[DataFile]] = {}
        self._taken: list[DataFile] = []
        self._began = time.monotonic()
        self._committing = False
        self.notes: dict[str, Any] = {}

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        self._file(table).add(row)

    def columns(self, table: str, rows: pa.Table) -> None:
        """Append many rows with all columns of a table: thousands at once, or row groups become small."""
        self._file(table).add_columns(rows)

    def _file(self, table: str) -> _TableFile:
        if table not in self._files:
            definition = TABLES[table]
            self._files[table] = _TableFile(self._workspace, definition, self._folder_of(definition), self._name())
        return self._files[table]

    def adopt(self, table: str, files: list[DataFile]) -> None:
        """Name data files of an earlier shard in this manifest as well: a retry keeps what was fetched."""
        self._done.setdefault(table, []).extend(files)

    def close(self) -> WrittenShard:
        """Close the files without a commit: what a child process hands back to its parent."""
        self.finish()
        unbalanced = self.counts.unbalanced()
        if unbalanced:
            self.discard()
            raise AssertionError(f"{self._stage} shard {self._key}: the sums of {unbalanced} do not hold")
        for table, one in self._files.items():
            self._done.setdefault(table, []).append(one.close())
        self._files.clear()
        return WrittenShard(self._done, self.counts.to_json(), self.notes)

    def take(self, written: WrittenShard) -> None:
        """Take over what a child process wrote under this attempt."""
        for table, files in written.files.items():
            self._done.setdefault(table, []).extend(files)
            self._taken.extend(files)
        self.counts.add(Counts.from_json(written.counts))
        self.notes.update(written.notes)

    def commit(self) -> Manifest:
        """Close the files and create the manifest; returns the one that stands, ours or an earlier attempt's."""
        own = [one.path for one in self._files.values()]
        written = self.close()
        seconds = time.monotonic() - self._began
        manifest = Manifest(self._stage, self._key, written.files, self.counts, seconds, self.notes)
        self._committing = True
        if self._workspace.commit(manifest):
            return manifest
        standing = self._workspace.manifest(self._stage, self._key)
        assert standing is not None, "a manifest is never removed while its stage runs"
        self._remove([*own, *(one.path for one in self._taken)], standing)
        return standing

    def discard(self) -> None:
        """Remove the files of this attempt, those of a child process that did not come to its end as well."""
        for one in self._files.values():
            one.abandon()
        self._files.clear()
        # A commit may have come through although its answer was lost.
        standing = self._workspace.manifest(self._stage, self._key) if self._committing else None
        names = [f"{self._folder_of(table)}/{self._name(end)}" for table in TABLES.values() for end in _CHILD_ENDS]
        self._remove([*(one.path for one in self._taken), *names], standing)

    def _remove(self, paths: Iterable[str], standing: Manifest | None) -> None:
        """Remove files unless the standing manifest names them."""
        named = {one.path for files in standing.files.values() for one in files} if standing else set()
        for path in sorted(set(paths) - named):
            self._workspace.folder.remove(path)

    def _name(self, end: str = "") -> str:
        return f"{self._key[:16]}-{self.attempt}{end}.parquet"

    def _folder_of(self, table: Table) -> str:
        by_stage = table.name in ("rejected", "deferred")
        return f"{table.folder}/{stage_of(self._stage)}" if by_stage else table.folder
