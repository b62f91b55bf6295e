"""All pairs of 64-bit hashes within a Hamming distance: exact, in memory, fast for the small distances that matter.

Equal hashes are collapsed first: a hash that a million images have costs as much as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mining.multi_index import BITS, MAX_DISTANCE, Int64Array, UInt64Array, cut, near_values, ranges

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HashPairs:
    """Pairs of distinct hashes, sorted: numbers in `distinct` (int64, p; `first` < `second`) and how many bits differ.

    `distinct`: the hashes without repetition, ascending (uint64, m); `numbers`: for each hash given its number there
    (int64, n). Equal hashes are near each other by having one number; no pair says so.
    """

    distinct: UInt64Array
    numbers: Int64Array
    first: Int64Array
    second: Int64Array
    distances: UInt8Array


@dataclass(frozen=True, slots=True)
class HashMatches:
    """Queries with the hashes near them, sorted by query, distance, hash: positions in the two arrays given (int64, p)
    and how many bits differ (uint8, p). Of equal hashes the first one stands for all."""

    queries: Int64Array
    hashes: Int64Array
    distances: UInt8Array


def pairs_within(hashes: npt.ArrayLike, distance: int) -> HashPairs:
    """All pairs among `hashes` (uint64, n) that differ in at most `distance` bits, 0…15.

    Raises ValueError on another distance. Memory: the pairs, and some tens of MB beside the hashes; see
    `mining.multi_index.near_values` for pairs that do not fit.
    """
    distinct, numbers = np.unique(_as_hashes(hashes), return_inverse=True)
    found = [
        (np.searchsorted(distinct, np.minimum(one, other)), np.searchsorted(distinct, np.maximum(one, other)))
        for one, other in near_values(distinct, distance)
    ]
    first = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in found)])
    second = np.concatenate([np.zeros(0, np.int64), *(other for _, other in found)])
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    return HashPairs(distinct, numbers.astype(np.int64), first, second, _differing(distinct[first], distinct[second]))


def matches_within(queries: npt.ArrayLike, hashes: npt.ArrayLike, distance: int) -> HashMatches:
    """For each of `queries` (uint64, n) the distinct `hashes` (uint64, m) that differ in at most `distance` bits, 0…15.

    Raises ValueError on another distance.
    """
    asked, own = np.unique(_as_hashes(queries), return_inverse=True)
    known, places = np.unique(_as_hashes(hashes), return_index=True)
    found = [
        (np.searchsorted(asked, one), np.searchsorted(known, other))
        for one, other in near_values(asked, distance, known)
    ]
    left = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in found)])
    right = np.concatenate([np.zeros(0, np.int64), *(other for _, other in found)])
    order = np.argsort(left, kind="stable")
    left, right = left[order], right[order]
    starts, stops = np.searchsorted(left, own, "left"), np.searchsorted(left, own, "right")
    rows, picked = ranges(starts, stops - starts)
    distances = _differing(asked[left[picked]], known[right[picked]])
    numbers = places[right[picked]]
    order = np.lexsort((numbers, distances, rows))
    return HashMatches(rows[order], numbers[order].astype(np.int64), distances[order])


def nearest_within(queries: npt.ArrayLike, hashes: npt.ArrayLike, distance: int) -> tuple[Int64Array, UInt8Array]:
    """For each of `queries` (uint64, n) the position of the nearest of `hashes`, ties to the first, -1 where none is
    within `distance` bits (0…15), and how many bits differ (255 where none is). Memory does not grow with the matches.

    Raises ValueError on another distance.
    """
    asked, own = np.unique(_as_hashes(queries), return_inverse=True)
    known, places = np.unique(_as_hashes(hashes), return_index=True)
    none = np.uint64(2**64 - 1)
    # One number orders by distance, then by place.
    best = np.full(len(asked), none, np.uint64)
    for one, other in near_values(asked, distance, known):
        worth = (_differing(one, other).astype(np.uint64) << np.uint64(56)) | places[
            np.searchsorted(known, other)
        ].astype(np.uint64)
        np.minimum.at(best, np.searchsorted(asked, one), worth)
    best = best[own]
    numbers = np.where(best == none, -1, (best & np.uint64(2**56 - 1)).astype(np.int64))
    return numbers, (best >> np.uint64(56)).astype(np.uint8)


def band_keys(phash: int, distance: int) -> tuple[str, ...]:
    """The keys (`distance` + 1 short strings) under which a 64-bit hash meets all that differ in at most `distance`
    bits: two such share at least one key, since fewer bits differ than there are bands."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"hashes meet within distances of 0 to {MAX_DISTANCE} bits, not {distance}")
    return tuple(
        f"{band}:{(phash >> low) & ((1 << width) - 1):x}" for band, (low, width) in enumerate(cut(BITS, distance + 1))
    )


def _differing(one: UInt64Array, other: UInt64Array) -> UInt8Array:
    return np.bitwise_count(one ^ other)


def _as_hashes(hashes: npt.ArrayLike) -> UInt64Array:
    return np.asarray(hashes, np.uint64).reshape(-1)
