"""Index steps that choose among the candidates of all miners: `mining.choice` in shards.

Each step reads the candidates that the steps before left. Values are a few bytes a pair, and of a cap no shard tells
more than the cap itself, so that nothing that is everywhere is shuffled whole.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.corpus.compose import Source
from beam_jobs.index_step import Message, answer_map
from beam_jobs.session import asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.choice import cap_key, priority, rank, threshold
from mining.mine_config import MineConfig

#: Rank of a row, number of its source, number of the row in it.
_RANK = struct.Struct(">B16s8sQQ")
_ROW = struct.Struct(">Q")
_PRIORITY = struct.Struct(">Q")
_COUNT = struct.Struct("<Q")
_DETAILS = 200
#: A box of an object: x, y, width, height.
_BOX = struct.Struct("<4f")
#: The boxes that a row has, by the byte before them: where only a crop was compared, the target has none.
_BOXED = {0: (), 1: ("query_box", "target_box"), 2: ("query_box",)}
#: The asker to whom the counts of quotas go: the run itself.
QUOTA = "quota"
_BUCKET_BITS = 52

Row = Mapping[str, Any]
#: What choice reads of a candidate.
COLUMNS = (
    "query_image_id", "target_image_id", "page_id", "mining", "mining_details", "site", "target_image_url", "query_box",
    "target_box",
)  # fmt: skip


def pair_key(row: Row) -> str:
    """The key under which the rows of one pair meet."""
    return f"{row['query_image_id']}{row['target_image_id']}"


@dataclass(frozen=True)
class Winners:
    """Of the rows of one pair the one that stands, and what the other miners saw."""

    workspace: Workspace
    config: MineConfig
    name: str = "pair_winners"

    def messages(self, task: Source) -> Iterator[Message]:
        """Each row with its rank."""
        own = asker(task.number)
        for number, row in enumerate(_rows(self.workspace, task, COLUMNS)):
            order, page_id, words = rank(row, self.config.miners)
            details = (row["mining_details"] or "").encode()[:_DETAILS].decode("utf-8", "ignore").encode()
            packed = _RANK.pack(order, bytes.fromhex(page_id), bytes.fromhex(words), task.number, number)
            yield pair_key(row), own, packed + _pack_boxes(row) + details

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """To the shard whose row stands: which one it is, and the others' miners with their words."""
        order, _, _, owner, number = _RANK.unpack_from(values[0])
        others: dict[int, bytes] = {}
        for value in values[1:]:
            other = value[0]
            if other != order:
                others.setdefault(other, value[_RANK.size :])
        more = b"".join(bytes([one, len(said)]) + said for one, said in sorted(others.items()))
        yield asker(owner), _ROW.pack(number) + more


@dataclass(frozen=True)
class Cap:
    """The priority up to which pairs of one value (a site, a target image) are kept."""

    workspace: Workspace
    config: MineConfig
    cap: str
    count: int
    steps: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the step."""
        return f"pair_cap_{self.cap}"

    def messages(self, task: Source) -> Iterator[Message]:
        """Of each value the smallest priorities, as many as the cap."""
        own = asker(task.number)
        told: dict[str, list[int]] = defaultdict(list)
        for row, clusters in left(self.workspace, task, self.config, self.steps):
            key = cap_key(self.cap, row, clusters.get(row["target_image_id"]))
            if key is not None:
                told[key].append(priority_of(row))
        for key in sorted(told):
            # One more than the cap, so that a single shard shows that it was passed.
            for one in sorted(told[key])[: self.count + 1]:
                yield key, own, _PRIORITY.pack(one)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The last priority that is kept, to all who have such pairs, where the cap is passed."""
        last = threshold((_PRIORITY.unpack(value)[0] for value in values), self.count)
        if last is not None:
            yield from ((one, _PRIORITY.pack(last)) for one in askers)


@dataclass(frozen=True)
class QuotaCounts:
    """How many pairs each miner has in each of 4,096 ranges of priorities."""

    workspace: Workspace
    config: MineConfig
    steps: tuple[str, ...] = ()
    name: str = "quota_counts"

    def messages(self, task: Source) -> Iterator[Message]:
        """Counts of one shard; its number makes equal counts of two shards two messages."""
        counts: dict[str, int] = defaultdict(int)
        for row, _ in left(self.workspace, task, self.config, self.steps):
            if row["mining"] in self.config.quotas:
                counts[f"{row['mining']} {priority_of(row) >> _BUCKET_BITS:04d}"] += 1
        for key in sorted(counts):
            yield key, QUOTA, asker(task.number).encode() + _COUNT.pack(counts[key])

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The sum."""
        yield QUOTA, _COUNT.pack(sum(_COUNT.unpack(value[-_COUNT.size :])[0] for value in values))


@dataclass(frozen=True)
class QuotaBoundary:
    """The priorities in the one range of each miner in which its quota ends."""

    workspace: Workspace
    config: MineConfig
    #: Miner → the range, and how many pairs of it the quota still takes.
    ranges: Mapping[str, tuple[int, int]]
    steps: tuple[str, ...] = ()
    name: str = "quota_boundary"

    def messages(self, task: Source) -> Iterator[Message]:
        """Priorities in the range."""
        for row, _ in left(self.workspace, task, self.config, self.steps):
            name, one = row["mining"], priority_of(row)
            if name in self.ranges and one >> _BUCKET_BITS == self.ranges[name][0]:
                yield name, QUOTA, _PRIORITY.pack(one)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The last priority that the quota takes."""
        taken = self.ranges[key][1]
        ordered = sorted(_PRIORITY.unpack(value)[0] for value in values)
        yield QUOTA, _PRIORITY.pack(ordered[taken - 1] if taken else (self.ranges[key][0] << _BUCKET_BITS) - 1)


def quota_ranges(counts: Mapping[str, bytes], quotas: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """From the answers of `QuotaCounts`, for each miner whose quota is passed: the range in which it ends, and how many
    of that range it takes."""
    ranges: dict[str, tuple[int, int]] = {}
    for name, quota in quotas.items():
        buckets = {int(key.split(" ")[1]): _COUNT.unpack(value)[0] for key, value in counts.items() if _of(key, name)}
        if sum(buckets.values()) <= quota:
            continue
        reached = 0
        for bucket in sorted(buckets):
            if reached + buckets[bucket] > quota:
                ranges[name] = (bucket, quota - reached)
                break
            reached += buckets[bucket]
    return ranges


def quota_limits(answers: Mapping[str, bytes]) -> dict[str, int]:
    """Miner → the last priority that its quota takes, from the answers of `QuotaBoundary`."""
    return {name: _PRIORITY.unpack(value)[0] for name, value in answers.items()}


def left(
    workspace: Workspace, task: Source, config: MineConfig, steps: Sequence[str]
) -> Iterator[tuple[Row, Mapping[str, str]]]:
    """The rows of a source that winners and the caps of `steps` leave, with the clusters of its target images."""
    for row, reason, clusters in judged(workspace, task, config, steps, columns=COLUMNS):
        if reason is None:
            yield row, clusters


def judged(
    workspace: Workspace,
    task: Source,
    config: MineConfig,
    steps: Sequence[str],
    quotas: Mapping[str, int] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[Row, str | None, Mapping[str, str]]]:
    """All rows of a source, each with the reason for which it is dropped, or None; a row that stands for several miners
    names them all. `columns`: those of a row that are read, `COLUMNS` among them; None is all."""
    winners = _known(workspace, task, Winners.name)
    clusters = {
        image_id: str(int.from_bytes(value, "big")) for image_id, value in _known(workspace, task, "clusters").items()
    }
    limits = {cap: _known(workspace, task, f"pair_cap_{cap}") for cap in steps}
    for number, row in enumerate(_rows(workspace, task, columns)):
        answer = winners.get(pair_key(row))
        if answer is None or _ROW.unpack_from(answer)[0] != number:
            yield row, "duplicate_pair", clusters
            continue
        reason = None
        for cap in steps:
            key = cap_key(cap, row, clusters.get(row["target_image_id"]))
            last = limits[cap].get(key) if key is not None else None
            if last is not None and priority_of(row) > _PRIORITY.unpack(last)[0]:
                reason = f"{cap}_cap"
                break
        if reason is None and quotas and priority_of(row) > quotas.get(row["mining"], 1 << 64):
            reason = "quota"
        yield _with_others(row, answer[_ROW.size :], config.miners), reason, clusters


def priority_of(row: Row) -> int:
    """The pair's priority."""
    return priority(row["query_image_id"], row["target_image_id"])


def _with_others(row: Row, more: bytes, miners: Sequence[str]) -> Row:
    """The row with names, words and boxes of the other miners that found the pair. Caps and quotas go by the first."""
    names, words, start = [], [], 0
    boxes: dict[str, list[float] | None] | None = None
    while start < len(more):
        size = more[start + 1]
        names.append(miners[more[start]])
        said = more[start + 2 : start + 2 + size]
        boxes = boxes or _read_boxes(said)
        words.append(said[1 + _BOX.size * len(_BOXED[said[0]]) :].decode())
        start += 2 + size
    if not names:
        return row
    details = "; ".join(part for part in (row["mining_details"] or "", *words) if part)
    seen = {} if row["query_box"] is not None or boxes is None else boxes
    return {**row, **seen, "found_by": "+".join([row["mining"], *names]), "mining_details": details or None}


def _pack_boxes(row: Row) -> bytes:
    """Which boxes the row has, and the boxes."""
    if row["query_box"] is None:
        return b"\x00"
    kind = 2 if row["target_box"] is None else 1
    return bytes([kind]) + b"".join(_BOX.pack(*row[name]) for name in _BOXED[kind])


def _read_boxes(said: bytes) -> dict[str, list[float] | None] | None:
    names = _BOXED[said[0]]
    if not names:
        return None
    boxes: dict[str, list[float] | None] = {"query_box": None, "target_box": None}
    for place, name in enumerate(names):
        boxes[name] = list(_BOX.unpack_from(said, 1 + _BOX.size * place))
    return boxes


def _known(workspace: Workspace, task: Source, name: str) -> Mapping[str, bytes]:
    found = task.answers(name)
    return answer_map(workspace, found.path if found else None)


def _rows(workspace: Workspace, task: Source, columns: Sequence[str] | None = None) -> Iterator[Row]:
    yield from rows(workspace, workspace.manifests(task.job, [task.key])[0], "candidates", columns)


def _of(key: str, name: str) -> bool:
    return key.split(" ", maxsplit=1)[0] == name
