"""Splits by hash: what is decided for a page or a site today is decided the same way for every later crawl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from publishing.config import PublishConfig, SplitShares
from schemas.ids import digest

_STRICTNESS = {"train": 0, "validation": 1, "test": 2}
#: Bands of 16 bits: hashes that differ in at most 3 of 64 bits are equal in at least one of four bands.
_BANDS = 4
_SUB_BANDS = 4
#: Distinct hashes of one band that are still compared pair by pair.
_PAIRWISE = 1024

UInt64Array = npt.NDArray[np.uint64]


def split_of_unit(seed: int, unit: str, shares: SplitShares) -> str:
    """The split of a site or page: `test`, `validation` or `train` with the chances that `shares` gives.

    Depends on nothing but its arguments, so that additions move no unit; test comes first on the scale, so that a
    larger training share moves no unit from train to test.
    """
    position = int(digest("split", str(seed), unit)[:15], 16) / 16**15
    if position < shares.test:
        return "test"
    return "validation" if position < shares.test + shares.validation else "train"


def split_unit(config: PublishConfig, site: str, page_url: str) -> str:
    """What a split never cuts: the page's `site` (registrable domain, or host:port), or its address."""
    return site if config.split_unit == "domain" else page_url


def strictest(splits: Iterable[str]) -> str:
    """The strictest of at least one split: test, then validation, then train. Raises ValueError on none."""
    return max(splits, key=_STRICTNESS.__getitem__)


def phash_bands(phash: str) -> tuple[str, ...]:
    """The four keys under which an image meets its near duplicates, from a 64-bit hash of 16 hex digits."""
    if len(phash) != 16:
        raise ValueError(f"a perceptual hash has 16 hex digits, not {phash!r}")
    return tuple(f"{band}:{phash[4 * band : 4 * band + 4]}" for band in range(_BANDS))


def phash_distance(first: str, second: str) -> int:
    """Number of bits in which two perceptual hashes differ, 0…64."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def near_duplicate_groups(phashes: Sequence[str], distance: int = 3) -> list[int]:
    """For each hash the index of the first member of its group; hashes within `distance` bits share one (and so do
    chains of them). `distance` is at most 3. Meant for the images of one band: time is about n log n, also where
    many hashes meet in one band.
    """
    if not 0 <= distance < _BANDS:
        raise ValueError(f"bands of 16 bits find distances up to {_BANDS - 1}, not {distance}")
    order: dict[str, int] = {}
    for index, phash in enumerate(phashes):
        order.setdefault(phash, index)
    distinct = sorted(order)
    values = np.array([int(one, 16) for one in distinct], dtype=np.uint64)
    groups = _Groups(len(distinct))
    _join(values, np.arange(len(distinct)), distance, 0, groups)
    first: dict[int, int] = {}
    for position, phash in enumerate(distinct):
        root = groups.root(position)
        first[root] = min(first.get(root, order[phash]), order[phash])
    place = {phash: first[groups.root(position)] for position, phash in enumerate(distinct)}
    return [place[phash] for phash in phashes]


def strictest_of_near_duplicates(members: Sequence[tuple[str, str, str]], distance: int = 3) -> Mapping[str, str]:
    """Image id → split for images (id, perceptual hash, split) that share a band: the strictest of each group."""
    groups = near_duplicate_groups([phash for _, phash, _ in members], distance)
    splits: dict[int, str] = {}
    for group, (_, _, split) in zip(groups, members, strict=True):
        splits[group] = strictest((splits.get(group, split), split))
    result: dict[str, str] = {}
    for group, (image_id, _, _) in zip(groups, members, strict=True):
        result[image_id] = strictest((result.get(image_id, splits[group]), splits[group]))
    return result


class _Groups:
    """Union-find whose roots are the smallest members."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, member: int) -> int:
        while self._parent[member] != member:
            self._parent[member] = self._parent[self._parent[member]]
            member = self._parent[member]
        return member

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.root(first), self.root(second)))
        self._parent[high] = low


def _join(values: UInt64Array, places: npt.NDArray[np.int64], distance: int, depth: int, groups: _Groups) -> None:
    """Join near hashes: few are compared with each other, many are cut into bands of 16 bits, each once more into
    bands of 12 bits of what the first band leaves open, which loses no pair within `distance`."""
    if len(places) <= _PAIRWISE or depth == 2:
        _join_pairwise(values, places, distance, groups)
        return
    for band in range(_BANDS):
        keys = _band(values[places], band, depth)
        ranked = np.argsort(keys, kind="stable")
        cuts = np.flatnonzero(np.diff(keys[ranked])) + 1
        for bucket in np.split(places[ranked], cuts):
            if len(bucket) > 1:
                _join(values, bucket, distance, depth + 1, groups)


def _band(values: UInt64Array, band: int, depth: int) -> UInt64Array:
    """Bits `band`, `band + 4`, … of the hash (depth 0), or every fourth of another phase's (depth 1)."""
    if depth == 0:
        return (values >> np.uint64(16 * band)) & np.uint64(0xFFFF)
    mask = np.uint64(int("".join("1" if bit % _SUB_BANDS == band else "0" for bit in range(64)), 2))
    return values & mask


def _join_pairwise(values: UInt64Array, places: npt.NDArray[np.int64], distance: int, groups: _Groups) -> None:
    chosen = values[places]
    for index in range(len(places) - 1):
        bits = np.bitwise_count(chosen[index + 1 :] ^ chosen[index])
        for offset in np.flatnonzero(bits <= distance):
            groups.join(int(places[index]), int(places[index + 1 + offset]))
