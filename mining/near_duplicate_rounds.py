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

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mining.hamming_search import band_keys
from mining.near_duplicate_bucket import (
    AWAITED,
    CLAIMED,
    CUT,
    LAST,
    MESSAGE,
    NEAR_SURVIVOR,
    OPEN,
    SURVIVOR,
    hash_name,
    records,
)
from mining.near_duplicates import HashedImage, NearDuplicatesConfig, Rank, SketchRows


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
            values = [self._pack(OPEN, one) for one in sent]
            if cut is not None:
                values.append(MESSAGE.pack(CUT, self._asker, -cut[0], bytes.fromhex(cut[1]), phash))
            yield from ((key, value) for key in band_keys(phash, self._config.distance) for value in values)
        for one in self._told:
            value = self._pack(SURVIVOR, one)
            yield from ((key, value) for key in band_keys(one.phash, self._config.distance))

    def advance(self, answers: Iterable[bytes]) -> None:
        """Take in what the buckets answered to this round's messages."""
        sent = {phash: {one.image_id for one in self._cut(phash)[0]} for phash in self._open}
        self._awaited = set()
        # The best open image near a sent one, by id, and near a cut, by hash.
        near: dict[str, Rank] = {}
        survivors: dict[int, dict[str, HashedImage]] = defaultdict(dict)
        for kind, name, told, phash, sketch in records(answers):
            if kind == CLAIMED:
                self._claims[name] = min(told, self._claims.get(name, told))
            elif kind == AWAITED:
                self._awaited.add(name)
            elif kind == NEAR_SURVIVOR:
                survivors[int(name, 16)][told[1]] = HashedImage(told[1], phash, -told[0], sketch)
            else:
                near[name] = min(told, near.get(name, told))
        for phash in sorted(survivors):
            self._claim_unsent(phash, list(survivors[phash].values()))
        self._told = []
        for phash in sorted(self._open):
            left, behind = [], near.get(hash_name(phash).hex())
            for one in self._open[phash]:
                is_sent = one.image_id in sent[phash]
                if self._stays_open(one, is_sent, near.get(one.image_id) if is_sent else behind):
                    left.append(one)
            self._open[phash] = left
        self._open = defaultdict(list, {phash: images for phash, images in self._open.items() if images})

    def _stays_open(self, one: HashedImage, is_sent: bool, near: Rank | None) -> bool:
        """Settle an image if that can be done; `near`: the best open image that may stand in its way."""
        claim = self._claims.get(one.image_id)
        if claim == one.rank:
            # Another shard has the same image, and told that it survives.
            del self._claims[one.image_id]
            return False
        if claim is not None:
            return near is not None and near < claim
        if not is_sent or near is not None:
            return True
        if one.image_id in self._awaited:
            self._told.append(one)
        return False

    @property
    def settled(self) -> bool:
        """Whether no image is open."""
        return not self._open

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
        return sent, undecided[self._sent].rank if len(undecided) > self._sent else LAST

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
        return MESSAGE.pack(kind, self._asker, one.area, bytes.fromhex(one.image_id), one.phash) + sketch
