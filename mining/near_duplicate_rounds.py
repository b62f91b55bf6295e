"""Near duplicates where no machine sees all images: shards and buckets settle the verdict of `near_duplicates_of` in
rounds (parallel greedy maximal independent set; Blelloch, Fineman and Shun, SPAA 2012).

In each round a shard sends its open images to the buckets of their hashes' bands, and once each survivor that somebody
waits for. A bucket tells an image who blocks it (a better open image is near) and which survivor is near; an image that
nobody blocks survives. Of a hash that very many images of a shard share only the best few are sent, and a *cut* that
says how good the first unsent one is: what ranks behind a near cut waits, and the shard itself compares its unsent
images with the survivors near the cut. So a bucket sees a bounded number of images a hash and shard, and the verdict
is exact: the best open image of all is always decided.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mining.hamming_search import Int64Array, band_keys, pairs_within
from mining.near_duplicates import HashedImage, NearDuplicatesConfig, Rank, SketchRows

#: A message: kind, asker, pixels, image, hash; then the sketch.
_MESSAGE = struct.Struct(">cIQ32sQ")
_OPEN, _SURVIVOR, _CUT = b"o", b"s", b"c"
#: An answer is a row of these: kind, image or hash, pixels and id of the one that is told, bytes of its sketch.
_ANSWER = struct.Struct(">c32sQ32sQH")
_BLOCKED, _CLAIMED, _AWAITED, _NEAR_SURVIVOR, _NEAR_OPEN = b"b", b"r", b"t", b"s", b"o"
#: The rank of a cut behind which nothing is undecided.
_LAST: Rank = (0, "f" * 64)
_NOBODY = 1 << 40
_BLOCK = 512


class Standing:
    """What one shard knows of its images, round after round. Only images that have another one within the distance of
    hashes need to be here; all others survive."""

    def __init__(self, asker: int, images: Iterable[HashedImage], config: NearDuplicatesConfig, sent: int = 64) -> None:
        """`asker`: the shard's number; `sent`: open images of one hash that are sent at most, 1 or more."""
        self._asker, self._config, self._sent = asker, config, sent
        self._images = {one.image_id: one for one in images}
        self._open: dict[int, list[HashedImage]] = defaultdict(list)
        for one in sorted(self._images.values(), key=lambda one: one.rank):
            self._open[one.phash].append(one)
        #: Rejected → best survivor known; the name of one that is still open may become better.
        self._claims: dict[str, Rank] = {}
        self._awaited: set[str] = set()
        self._told: list[HashedImage] = []

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """(key, value) of this round, each once."""
        for phash in sorted(self._open):
            sent, cut = self._cut(phash)
            values = [self._pack(_OPEN, one) for one in sent]
            if cut is not None:
                values.append(_MESSAGE.pack(_CUT, self._asker, -cut[0], bytes.fromhex(cut[1]), phash))
            yield from ((key, value) for key in band_keys(phash, self._config.distance) for value in values)
        for one in self._told:
            value = self._pack(_SURVIVOR, one)
            yield from ((key, value) for key in band_keys(one.phash, self._config.distance))

    def advance(self, answers: Iterable[bytes]) -> None:
        """Take in what the buckets answered to this round's messages."""
        sent = {phash: {one.image_id for one in self._cut(phash)[0]} for phash in self._open}
        blockers: dict[str, Rank] = {}
        open_near: dict[int, Rank] = {}
        survivors: dict[int, dict[str, HashedImage]] = defaultdict(dict)
        for kind, name, told, phash, sketch in _records(answers):
            if kind == _BLOCKED:
                blockers[name] = min(told, blockers.get(name, told))
            elif kind == _CLAIMED:
                self._claims[name] = min(told, self._claims.get(name, told))
            elif kind == _AWAITED:
                self._awaited.add(name)
            elif kind == _NEAR_OPEN:
                asked = int(name, 16)
                open_near[asked] = min(told, open_near.get(asked, told))
            else:
                survivors[int(name, 16)][told[1]] = HashedImage(told[1], phash, -told[0], sketch)
        for phash in sorted(survivors):
            self._claim_unsent(phash, list(survivors[phash].values()))
        self._told = []
        for phash in sorted(self._open):
            left = []
            for one in self._open[phash]:
                claim = self._claims.get(one.image_id)
                better = blockers.get(one.image_id) if one.image_id in sent[phash] else open_near.get(phash)
                if claim is not None and claim[1] == one.image_id:
                    # Another shard has the same image, and told of it.
                    del self._claims[one.image_id]
                elif claim is not None:
                    if better is not None and better < claim:
                        left.append(one)
                elif one.image_id not in sent[phash] or better is not None:
                    left.append(one)
                elif one.image_id in self._awaited:
                    self._told.append(one)
            if left:
                self._open[phash] = left
            else:
                del self._open[phash]

    @property
    def settled(self) -> bool:
        """Whether no image is open and no survivor is left to tell of."""
        return not self._open and not self._told

    def rejected(self) -> dict[str, str]:
        """Rejected image id → survivor id; final when all shards are settled."""
        return {name: self._claims[name][1] for name in sorted(self._claims)}

    def _cut(self, phash: int) -> tuple[list[HashedImage], Rank | None]:
        """Of a hash the images that are sent, and the rank of the first undecided one that is not."""
        images = self._open[phash]
        undecided = [one for one in images if one.image_id not in self._claims]
        sent = undecided[: self._sent]
        if len(sent) == len(images):
            return sent, None
        return sent, undecided[self._sent].rank if len(undecided) > self._sent else _LAST

    def _claim_unsent(self, phash: int, survivors: Sequence[HashedImage]) -> None:
        images = self._open.get(phash, [])
        ranks = [one.rank for one in images]
        ordered = sorted(survivors, key=lambda one: one.rank)
        known = set(ranks)
        bound = self._config.similarity
        sketches = SketchRows([] if bound is None else [one.sketch for one in (*images, *ordered)])
        free = np.arange(len(images))
        for place, survivor in enumerate(ordered):
            # Better ones go first, so that the first to claim an image is the one it names.
            worse = free[free >= bisect_right(ranks, survivor.rank)]
            if bound is not None:
                worse = worse[sketches.alike(len(images) + place, worse, bound)]
            claimed = [*worse.tolist(), *([bisect_left(ranks, survivor.rank)] if survivor.rank in known else [])]
            free = np.setdiff1d(free, claimed, assume_unique=True)
            for row in claimed:
                name = images[row].image_id
                self._claims[name] = min(survivor.rank, self._claims.get(name, survivor.rank))

    def _pack(self, kind: bytes, one: HashedImage) -> bytes:
        sketch = one.sketch if self._config.similarity is not None else b""
        return _MESSAGE.pack(kind, self._asker, one.area, bytes.fromhex(one.image_id), one.phash) + sketch


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
            kind, asker, area, name, phash = _MESSAGE.unpack_from(value)
            messages.append((kind, asker, (-area, name.hex()), phash, value[_MESSAGE.size :]))
        return cls(messages)

    def __post_init__(self) -> None:
        count = len(self.messages)
        self.ranks = sorted({rank for _, _, rank, _, _ in self.messages})
        places = {rank: place for place, rank in enumerate(self.ranks)}
        self.place = np.array([places[rank] for _, _, rank, _, _ in self.messages], np.int64)
        self.hashes = np.array([phash for _, _, _, phash, _ in self.messages], np.uint64)
        kinds = [kind for kind, *_ in self.messages]
        self.open = np.array([kind == _OPEN for kind in kinds], bool)
        self.cut = np.array([kind == _CUT for kind in kinds], bool)
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
            if kind == _SURVIVOR:
                continue
            name = bytes.fromhex(rank[1]) if kind == _OPEN else phash.to_bytes(32, "big")
            out = records[asker]
            if self._blocker[row] != _NOBODY:
                out.append(_answer(_BLOCKED if kind == _OPEN else _NEAR_OPEN, name, self.ranks[self._blocker[row]]))
            if self._claimer[row] != _NOBODY:
                out.append(_answer(_CLAIMED, name, self.ranks[self._claimer[row]]))
            if self._awaited[row]:
                out.append(_answer(_AWAITED, name, rank))
            for one in sorted(self._survivors.get(row, ())):
                _, _, told, other, sketch = self.messages[one]
                out.append(_answer(_NEAR_SURVIVOR, name, told, other, sketch))
        yield from ((asker, b"".join(records[asker])) for asker in sorted(records) if records[asker])

    def _is_undecided(self, row: int) -> bool:
        return bool(self.open[row]) or (bool(self.cut[row]) and self.messages[row][2] != _LAST)


def _answer(kind: bytes, name: bytes, told: Rank, phash: int = 0, sketch: bytes = b"") -> bytes:
    return _ANSWER.pack(kind, name, -told[0], bytes.fromhex(told[1]), phash, len(sketch)) + sketch


def _records(answers: Iterable[bytes]) -> Iterator[tuple[bytes, str, Rank, int, bytes]]:
    for data in answers:
        at = 0
        while at < len(data):
            kind, name, area, told, phash, size = _ANSWER.unpack_from(data, at)
            at += _ANSWER.size
            yield kind, name.hex(), (-area, told.hex()), phash, data[at : at + size]
            at += size
