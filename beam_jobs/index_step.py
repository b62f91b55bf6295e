"""Index steps: the only shuffles. Shards tell and ask by key; each asker gets the resolved answers as a table.

A key's values are at most one for each shard that names it (shards deduplicate before they emit), so that an image,
a site or an address that is everywhere costs one small value a shard, not one a page. Values are bytes of at most a
few hundred; image bytes and embeddings never come here.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs.workspace import Workspace
from schemas.storage import PARQUET

#: (key, asker, value): an asker asks with an empty value, a teller tells with an empty asker; both may be given.
Message = tuple[str, str, bytes]

_ANSWERS = pa.schema([("key", pa.string()), ("value", pa.binary())])


class IndexStep(Protocol):
    """One index step; implementations are picklable dataclasses in importable modules."""

    @property
    def workspace(self) -> Workspace:
        """The output folder."""

    @property
    def name(self) -> str:
        """Name of the step: its folder under `_work/index`."""

    def messages(self, task: Any) -> Iterable[Message]:
        """What one task (a shard of an earlier stage) tells and asks, each message once."""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterable[tuple[str, bytes]]:
        """Answers (asker, value) to one key. `askers` are distinct and sorted, `values` sorted."""


@dataclass(frozen=True)
class Answers:
    """Where the answers to one asker lie. Without a file there were none."""

    path: str | None
    digest: str
    weight: int = 0


#: What an asker has that nobody answered.
NO_ANSWERS = Answers(None, "none")


def answers_folder(name: str, key: str) -> str:
    """The folder of one index step's answers."""
    return f"_work/index/{name}/{key}"


def tell(step: IndexStep, task: Any) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """The messages of one task by key."""
    for key, asker, value in step.messages(task):
        yield key, (asker, value)


def resolve(
    step: IndexStep, key: str, messages: Iterable[tuple[str, bytes]]
) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """The answers to one key by asker."""
    askers: set[str] = set()
    tellings: list[bytes] = []
    for asker, value in messages:
        if asker:
            askers.add(asker)
        if value:
            tellings.append(value)
    for asker, answer in step.resolve(key, sorted(askers), sorted(tellings)):
        yield asker, (key, answer)


def write_answers(workspace: Workspace, folder: str, asker: str, answers: Iterable[tuple[str, bytes]]) -> None:
    """Write the answers to an asker, sorted by key, under the digest of their content: attempts cannot differ."""
    ordered = sorted(answers)
    state = hashlib.sha256()
    for key, value in ordered:
        state.update(len(key).to_bytes(4, "big") + key.encode() + len(value).to_bytes(4, "big") + value)
    table = pa.table([[key for key, _ in ordered], [value for _, value in ordered]], schema=_ANSWERS)
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=1 << 16, **PARQUET)
    name = f"{folder}/{asker}~{state.hexdigest()[:32]}~{len(ordered)}.parquet"
    workspace.folder.create(name, sink.getvalue())


def find_answers(workspace: Workspace, name: str, key: str) -> dict[str, Answers]:
    """The answers that a finished index step left, by asker."""
    found = {}
    folder = answers_folder(name, key)
    for base in workspace.folder.list(folder):
        if base.endswith(".parquet"):
            asker, digest, weight = base[: -len(".parquet")].rsplit("~", 2)
            found[asker] = Answers(f"{folder}/{base}", digest, int(weight))
    return found


def read_answers(workspace: Workspace, path: str | None) -> Iterator[tuple[str, bytes]]:
    """The answers to one asker, sorted by key; no path, no answers."""
    if path is None:
        return
    with workspace.folder.open(path) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches():
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)


def answer_map(workspace: Workspace, path: str | None) -> Mapping[str, bytes]:
    """The answers to one asker as a dictionary."""
    return dict(read_answers(workspace, path))
