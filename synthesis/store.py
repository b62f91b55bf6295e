"""The store of answers: small immutable parts, read before anything is asked, never rewritten.

A store is a folder of parquet files with the columns of `generations`, at any depth. Every shard of requests writes its
parts below a folder of its own; a part's name tells between which ids its answers lie.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.storage import PARQUET, Folder
from schemas.tables import GENERATIONS

#: Where a run's output folder keeps answers.
OWN_PARTS = "_work/generation_parts"
_SUFFIX = ".parquet"
#: What a parquet file begins and ends with; without rows it is longer than this.
_MAGIC, _SMALLEST = b"PAR1", 12


@dataclass(frozen=True)
class GenerationStore:
    """The parts of one shard of requests, below `name` in a folder. Of several answers to one request, as two attempts
    at once may leave them, the one of the first part by name stands, until a manifest settles it."""

    folder: Folder
    name: str

    def read(self, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The answers to these requests, and to those that followed upon them, by request id."""
        ids = frozenset(wanted)
        answers: dict[str, dict[str, Any]] = {}
        if not ids:
            return answers
        first, last = min(ids), max(ids)
        for part in self.folder.list(self.name):
            bounds = part.split("-")
            if len(bounds) != 3 or not part.endswith(_SUFFIX) or bounds[0] > last or bounds[1] < first:
                continue
            for row in read_answers_of(self.folder, f"{self.name}/{part}", ids):
                answers.setdefault(row["request_id"], row)
        return answers

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store answers as a part of its own. One to a request that followed upon another is found under that one."""
        ids = [row["follows"] or row["request_id"] for row in rows]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=GENERATIONS.with_metadata()), sink, **PARQUET)
        self.folder.create(f"{self.name}/{min(ids)}-{max(ids)}-{uuid.uuid4().hex}{_SUFFIX}", sink.getvalue())


def read_answers_of(folder: Folder, path: str, wanted: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Rows of one file whose request, or the one that it followed upon, is wanted; columns that an older file lacks are
    null. A file that is gone, or that a kill left half written, holds nothing."""
    for row in _rows_of(folder, path):
        if row["request_id"] in wanted or row.get("follows") in wanted:
            yield {name: row.get(name) for name in GENERATIONS.schema.names}


def answer_ids(folder: Folder, path: str) -> Iterator[tuple[str, bool]]:
    """The requests that one file answers, follow-ups under the request that they followed upon; and whether it is one.
    A file that is gone, or that a kill left half written, holds none."""
    for row in _rows_of(folder, path, ("request_id", "follows")):
        follows = row.get("follows")
        yield follows or row["request_id"], follows is not None


def answered_requests(folder: Folder, path: str) -> Iterator[str]:
    """The requests that one file answers, each by its own id. A file as above holds none."""
    for row in _rows_of(folder, path, ("request_id",)):
        yield row["request_id"]


def _rows_of(folder: Folder, path: str, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    source = _opened(folder, path)
    if source is None:
        return
    with source, pq.ParquetFile(source, pre_buffer=False) as parquet:
        held = None if columns is None else [name for name in columns if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(batch_size=512, columns=held):
            yield from batch.to_pylist()


def _opened(folder: Folder, path: str) -> IO[Any] | None:
    """A file of answers; None where it is gone, or has no end yet: parts are made at once, but the table of a run is
    written in place, from parts that hold the same."""
    try:
        source = folder.open(path)
    except FileNotFoundError:
        return None
    size = source.seek(0, io.SEEK_END)
    source.seek(max(0, size - len(_MAGIC)))
    if size < _SMALLEST or source.read() != _MAGIC:
        source.close()
        return None
    source.seek(0)
    return source


def store_files(path: str) -> list[tuple[str, str]]:
    """Folder and name of every file of answers in a store: a folder of parts, or an output folder with its table and
    its own parts. Sorted, an absent folder is empty."""
    folder = Folder(path)
    roots = ["generations", OWN_PARTS] if folder.exists("generations") or folder.exists("_work") else [""]
    return [(path, name) for root in roots for name in _below(folder, root)]


def settled_first(place: Sequence[str]) -> tuple[bool, str, str]:
    """Order of files, given as folder and name: those of tables, in which a manifest has settled which of several
    answers stands, before parts."""
    folder, name = place
    return not name.startswith("generations/"), folder, name


def _below(folder: Folder, root: str, depth: int = 3) -> Iterator[str]:
    for name in folder.list(root):
        path = f"{root}/{name}" if root else name
        if name.endswith(_SUFFIX):
            yield path
        elif depth:
            yield from _below(folder, path, depth - 1)
