"""Near duplicates across the crawl: of images that look the same one survives, and every other one names it.

Two images are near if their perceptual hashes differ in few bits *and*, if a similarity is set, their sketches are
alike: the hash sees no colours. Images are ranked: more pixels first, ties by id. An image is rejected if a *survivor*
of better rank is near it, and names the best of those; an image whose better neighbours are all rejected themselves
survives. So survivors are the greedy maximal independent set by rank: no two of them are near, each rejected image is
near the one it names, and no order of reading changes the verdict.

With a bound on features (`feature_similarity`) the survivors of the hashes are judged once more, by the same rule, of
images whose features are near. So an image that its hash rejected names the survivor of its hashes, which may itself be
named near another one by its features: each rejected image is near the one it names, and no two that are left are near.

`near_duplicates_of` is the plain form for images that fit into memory, by which others are tested. Where images meet by
keys `mining.near_duplicate_rounds` gives the same by hashes, `mining.feature_duplicate_rounds` by features.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from mining.hamming_search import HashPairs, pairs_within
from mining.multi_index import MAX_DISTANCE, Int64Array
from mining.similarity import Float64Array, SketchMatrix, cosines

#: Pixels and id: the smaller rank is the better one.
Rank = tuple[int, str]
#: An image, another one, and the cosine of their features.
NeighbourRow = tuple[str, str, float]
#: Sketches that are compared with one at once.
_BLOCK = 1 << 14


class NearDuplicatesConfig(BaseModel):
    """Settings of near duplicates across the crawl."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: int = Field(
        default=2, ge=0, le=MAX_DISTANCE, description="images whose perceptual hashes differ in at most these many bits"
    )
    similarity: float | None = Field(
        default=0.95,
        ge=-1,
        le=1,
        description="… and whose visual similarity is at least this are near duplicates (the hash sees no colour); "
        "null: the hash alone decides",
    )
    feature_similarity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="embedding duplicates: of what hashes leave, images whose visual similarity is at least this are "
        "near duplicates too, whatever their hashes; null: they are not",
    )


@dataclass(frozen=True, slots=True)
class HashedImage:
    """What the verdict on an image reads: 64-bit hash, pixels, sketch (int8; `b""` where none is compared)."""

    image_id: str
    phash: int
    area: int
    sketch: bytes

    @property
    def rank(self) -> Rank:
        """Of two near images the one with the smaller rank goes first."""
        return (-self.area, self.image_id)


class SketchRows:
    """Sketches of many images, one byte a number, as matrices of those that are compared."""

    def __init__(self, sketches: Sequence[bytes]) -> None:
        """Sketches of equal length; raises ValueError if their lengths differ."""
        size = len(sketches[0]) if sketches else 0
        if any(len(sketch) != size for sketch in sketches):
            raise ValueError("sketches of different models cannot be compared: their lengths differ")
        self._values = np.frombuffer(b"".join(sketches), np.int8).reshape(len(sketches), size)

    def cosines(self, ones: npt.ArrayLike, others: npt.ArrayLike) -> Float64Array:
        """Cosines of some with some others, float64 (n, m), rounded to 4 decimals."""
        return cosines(self._rows(ones), self._rows(others))

    def alike(self, one: int, others: Int64Array, bound: float) -> npt.NDArray[np.bool_]:
        """Which of the others (n) have at least this cosine with one, block after block."""
        blocks = [others[start : start + _BLOCK] for start in range(0, len(others), _BLOCK)]
        return np.concatenate([np.zeros(0, bool), *(self.cosines([one], block)[0] >= bound for block in blocks)])

    def _rows(self, numbers: npt.ArrayLike) -> SketchMatrix:
        values = self._values[np.asarray(numbers, np.int64)].astype(np.float32)
        return SketchMatrix(values, np.sqrt(np.sum(values.astype(np.float64) ** 2, axis=1)))


def near_duplicates_of(
    images: Iterable[HashedImage], config: NearDuplicatesConfig, neighbours: Iterable[NeighbourRow] = ()
) -> dict[str, str]:
    """Rejected image id → id of the survivor it is a near duplicate of. Images with one id are one image.

    `neighbours` are read if `feature_similarity` is set, in any order and direction; rows of other images are ignored.
    """
    known = {one.image_id: one for one in images}
    rejected = _hash_duplicates_of(known.values(), config)
    if config.feature_similarity is None:
        return rejected
    areas = {name: one.area for name, one in known.items() if name not in rejected}
    return rejected | feature_duplicates_of(areas, neighbours, config.feature_similarity)


def _hash_duplicates_of(images: Iterable[HashedImage], config: NearDuplicatesConfig) -> dict[str, str]:
    """The verdict by hashes and sketches.

    Each survivor is compared once with the images of near hashes that no better one has claimed: time is about that of
    the hash search and the number of such comparisons.
    """
    ranked = sorted(images, key=lambda one: one.rank)
    groups = pairs_within(np.array([one.phash for one in ranked], np.uint64), config.distance)
    near_hashes = _near_hashes(groups)
    # The sort is stable: members of a hash stand in order of rank.
    by_hash = np.argsort(groups.numbers, kind="stable")
    edges = np.searchsorted(groups.numbers[by_hash], np.arange(len(groups.distinct) + 1))
    open_images = {
        number: by_hash[edges[number] : edges[number + 1]]
        for number in range(len(groups.distinct))
        if edges[number + 1] - edges[number] > 1 or number in near_hashes
    }
    sketches = SketchRows([one.sketch for one in ranked] if config.similarity is not None else [])
    claimed = np.full(len(ranked), -1, np.int64)
    for image in range(len(ranked)):
        own = int(groups.numbers[image])
        if claimed[image] >= 0 or own not in open_images:
            continue
        for number in (own, *near_hashes.get(own, ())):
            left = open_images.get(number, claimed[:0])
            left = left[(claimed[left] < 0) & (left > image)]
            open_images[number] = left
            if len(left) and config.similarity is not None:
                left = left[sketches.alike(image, left, config.similarity)]
            claimed[left] = image
    return {ranked[one].image_id: ranked[int(claimed[one])].image_id for one in np.flatnonzero(claimed >= 0)}


def feature_duplicates_of(areas: Mapping[str, int], neighbours: Iterable[NeighbourRow], bound: float) -> dict[str, str]:
    """The verdict by features alone: rejected image id → survivor id, by rows (id, neighbour, cosine) at or above
    `bound`. `areas`: pixels of the images that take part; rows of others are ignored."""
    near: dict[str, set[str]] = defaultdict(set)
    for one, other, score in neighbours:
        if score >= bound and one != other and one in areas and other in areas:
            near[one].add(other)
            near[other].add(one)
    claimed: dict[str, str] = {}
    for one in sorted(near, key=lambda image_id: (-areas[image_id], image_id)):
        if one not in claimed:
            own = (-areas[one], one)
            for other in near[one]:
                if own < (-areas[other], other):
                    claimed.setdefault(other, one)
    return dict(sorted(claimed.items()))


def _near_hashes(pairs: HashPairs) -> dict[int, list[int]]:
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        near[one].append(other)
        near[other].append(one)
    return dict(near)
