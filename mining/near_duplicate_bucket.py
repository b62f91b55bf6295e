"""What a bucket of `mining.near_duplicate_rounds` answers, and the bytes in which shards and buckets speak."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mining.hamming_search import pairs_within
from mining.multi_index import Int64Array
from mining.near_duplicates import NearDuplicatesConfig, Rank, SketchRows

#: A message: kind, asker, pixels, image, hash; then the sketch.
MESSAGE = struct.Struct(">cIQ32sQ")
OPEN, SURVIVOR, CUT = b"o", b"s", b"c"
#: An answer is a row of these: kind, image or hash, pixels and id of the one that is told, bytes of its sketch.
ANSWER = struct.Struct(">c32sQ32sQH")
NEAR_OPEN, CLAIMED, AWAITED, NEAR_SURVIVOR = b"o", b"r", b"t", b"s"
#: The rank of a cut behind which nothing is undecided.
LAST: Rank = (0, "f" * 64)
_NOBODY = 1 << 40
_BLOCK = 512


def meet(values: Iterable[bytes], config: NearDuplicatesConfig) -> Iterator[tuple[int, bytes]]:
    """What a bucket answers to the messages that came under its key, in any order: (asker, answer), sorted, at most one
    an asker. It knows the images that were sent to it and nothing else."""
    bucket = _Bucket.read(values)
    groups = pairs_within(bucket.hashes, config.distance)
    by_hash = np.argsort(groups.numbers, kind="stable")
    edges = np.searchsorted(groups.numbers[by_hash], np.arange(len(groups.distinct) + 1))
    near = [(one, one) for one in range(len(groups.distinct)) if edges[one + 1] - edges[one] > 1]
    for one, other in zip(groups.first.tolist(), groups.second.tolist(), strict=True):
        near += [(one, other), (other, one)]
    for one, other in near:
        sources, targets = by_hash[edges[one] : edges[one + 1]], by_hash[edges[other] : edges[other + 1]]
        bucket.weigh_cuts(sources, targets)
        sources, targets = sources[~bucket.cut[sources]], targets[bucket.open[targets]]
        for start in range(0, len(sources), _BLOCK):
            for begin in range(0, len(targets), _BLOCK):
                bucket.weigh(sources[start : start + _BLOCK], targets[begin : begin + _BLOCK], config.similarity)
    yield from bucket.answers()


@dataclass
class _Bucket:
    """The messages under one key, and what becomes of each: places are those of ranks among all that came."""

    messages: list[tuple[bytes, int, Rank, int, bytes]]

    @classmethod
    def read(cls, values: Iterable[bytes]) -> _Bucket:
        messages = []
        for value in sorted(set(values)):
            kind, asker, area, name, phash = MESSAGE.unpack_from(value)
            messages.append((kind, asker, (-area, name.hex()), phash, value[MESSAGE.size :]))
        return cls(messages)

    def __post_init__(self) -> None:
        count = len(self.messages)
        self.ranks = sorted({rank for _, _, rank, _, _ in self.messages})
        places = {rank: place for place, rank in enumerate(self.ranks)}
        self.place = np.array([places[rank] for _, _, rank, _, _ in self.messages], np.int64)
        self.hashes = np.array([phash for _, _, _, phash, _ in self.messages], np.uint64)
        kinds = [kind for kind, *_ in self.messages]
        self.open = np.array([kind == OPEN for kind in kinds], bool)
        self.cut = np.array([kind == CUT for kind in kinds], bool)
        members = np.flatnonzero(~self.cut)
        self._sketches = SketchRows([self.messages[row][4] for row in members])
        self._row = np.cumsum(~self.cut) - 1
        self._blocker = np.full(count, _NOBODY, np.int64)
        self._claimer = np.full(count, _NOBODY, np.int64)
        self._awaited = np.zeros(count, bool)
        self._survivors: dict[int, set[int]] = defaultdict(set)

    def weigh(self, sources: Int64Array, targets: Int64Array, similarity: float | None) -> None:
        """Images against open images whose hash is near."""
        own, other = self.place[sources][:, None], self.place[targets][None, :]
        near = own <= other
        if similarity is not None:
            alike = self._sketches.cosines(self._row[sources], self._row[targets]) >= similarity
            near &= alike | (own == other)
        is_open = self.open[sources][:, None]
        blocks = near & is_open & (own < other)
        self._blocker[targets] = np.minimum(self._blocker[targets], np.where(blocks, own, _NOBODY).min(axis=0))
        self._awaited[sources] |= blocks.any(axis=1)
        claims = np.where(near & ~is_open, own, _NOBODY).min(axis=0)
        self._claimer[targets] = np.minimum(self._claimer[targets], claims)

    def weigh_cuts(self, sources: Int64Array, targets: Int64Array) -> None:
        """Cuts against what is near them by hash: nobody here knows how the images behind a cut look."""
        cuts, others = sources[self.cut[sources]], targets[self.open[targets]]
        if len(cuts) and len(others):
            first = int(self.place[cuts].min())
            behind = others[self.place[others] > first]
            self._blocker[behind] = np.minimum(self._blocker[behind], first)
            self._awaited[others] = True
        cuts, others = targets[self.cut[targets]], sources
        if len(cuts):
            undecided = [int(self.place[row]) for row in others if self._is_undecided(int(row))]
            self._blocker[cuts] = np.minimum(self._blocker[cuts], min(undecided, default=_NOBODY))
            told = others[~self.open[others] & ~self.cut[others]].tolist()
            for row in cuts.tolist():
                self._survivors[row].update(told)

    def answers(self) -> Iterator[tuple[int, bytes]]:
        """The records of each asker, one after another."""
        records: dict[int, list[bytes]] = defaultdict(list)
        for row, (kind, asker, rank, phash, _) in enumerate(self.messages):
            if kind == SURVIVOR:
                continue
            name = bytes.fromhex(rank[1]) if kind == OPEN else hash_name(phash)
            out = records[asker]
            if self._blocker[row] != _NOBODY:
                out.append(_answer(NEAR_OPEN, name, self.ranks[self._blocker[row]]))
            if self._claimer[row] != _NOBODY:
                out.append(_answer(CLAIMED, name, self.ranks[self._claimer[row]]))
            if self._awaited[row]:
                out.append(_answer(AWAITED, name, rank))
            for one in sorted(self._survivors.get(row, ())):
                _, _, told, other, sketch = self.messages[one]
                out.append(_answer(NEAR_SURVIVOR, name, told, other, sketch))
        yield from ((asker, b"".join(records[asker])) for asker in sorted(records) if records[asker])

    def _is_undecided(self, row: int) -> bool:
        return bool(self.open[row]) or (bool(self.cut[row]) and self.messages[row][2] != LAST)


def _answer(kind: bytes, name: bytes, told: Rank, phash: int = 0, sketch: bytes = b"") -> bytes:
    return ANSWER.pack(kind, name, -told[0], bytes.fromhex(told[1]), phash, len(sketch)) + sketch


def hash_name(phash: int) -> bytes:
    """How answers name what lies behind a cut."""
    return phash.to_bytes(32, "big")


def records(answers: Iterable[bytes]) -> Iterator[tuple[bytes, str, Rank, int, bytes]]:
    """Read answers: kind, image or hash (hex), the rank that is told, its hash and sketch."""
    for data in answers:
        at = 0
        while at < len(data):
            kind, name, area, told, phash, size = ANSWER.unpack_from(data, at)
            at += ANSWER.size
            yield kind, name.hex(), (-area, told.hex()), phash, data[at : at + size]
            at += size
