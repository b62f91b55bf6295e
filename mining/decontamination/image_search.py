"""The best match of each of many images in one fingerprint file, read piece by piece: time grows with both, memory with
the images asked for alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mining.decontamination.cells import nearest_cells
from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.read import FingerprintFile, ImageGroup
from mining.decontamination.variants import UNCUT
from mining.hamming_search import matches_within
from mining.similarity import DECIMALS

Int8Array = npt.NDArray[np.int8]
Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]

#: Cells in which an image is looked for by its features.
PROBES = 16
#: Images compared with a cell at once, and pairs of sketches at once.
_BLOCK, _PAIRS = 512, 1 << 14
#: Above all distances in bits: a match by features comes after any by hash.
_BY_FEATURES = 1 << 20
_NONE = 1 << 30
#: Bits set, more or fewer than half of them, of a hash that tells something.
_EVEN = 16


@dataclass(frozen=True)
class Match:
    """An image's best match: the benchmark, how it was found, bits by which the hashes differ (of the nearest variant
    that was looked at), cosine of the sketches, and the benchmark's image."""

    benchmark: str
    how: Literal["hash", "features"]
    distance: int
    similarity: float
    image: str

    @property
    def detail(self) -> str:
        """The match in words."""
        return f"{self.benchmark}: {self.image}, {self.distance} bits differ, visual similarity {self.similarity:.4f}"


@dataclass(frozen=True)
class _Found:
    """Pairs of images asked for (rows of the queries) and images of a group, with what they have in common."""

    queries: Int64Array
    rows: Int64Array
    distances: Int64Array
    similarities: Float64Array
    #: Smaller is better.
    worth: Int64Array


def search_images(
    file: FingerprintFile, phashes: UInt64Array, sketches: Int8Array, config: DecontaminationConfig
) -> dict[int, Match]:
    """The best match in a file of images by number: `phashes` uint64 (n), `sketches` int8 (n, d); those without one are
    left out.

    By hash, of the picture uncut or mirrored, before by features, then the nearest, then the first in the file. The
    search by hash is exact, that by features looks into the 16 nearest cells.
    """
    if not len(phashes) or not file.info.images:
        return {}
    distinct, number_of = np.unique(phashes, return_inverse=True)
    by_hash = _Members(number_of, len(distinct))
    cells = file.cells()
    asked_cells = nearest_cells(sketches, cells, PROBES)
    by_cell = _Members(asked_cells.ravel(), len(cells), asked_cells.shape[1])
    best = np.full(len(phashes), _NONE, np.int64)
    matches: dict[int, Match] = {}
    for group in file.image_groups():
        parts = [
            *_near_hashes(group, distinct, by_hash, sketches, config),
            *_near_features(group, by_cell, phashes, sketches, config),
        ]
        for found in parts:
            better = found.worth < best[found.queries]
            rows = np.flatnonzero(better)
            order = rows[np.lexsort((found.rows[rows], found.worth[rows], found.queries[rows]))]
            queries, first = np.unique(found.queries[order], return_index=True)
            for query, pair in zip(queries.tolist(), order[first].tolist(), strict=True):
                best[query] = found.worth[pair]
                matches[query] = Match(
                    file.info.benchmark,
                    "features" if found.worth[pair] >= _BY_FEATURES else "hash",
                    int(found.distances[pair]),
                    float(found.similarities[pair]),
                    group.names[int(found.rows[pair])].as_py(),
                )
    return matches


class _Members:
    """Which queries have a number, by number. `each`: how many numbers a query has, one after another."""

    def __init__(self, numbers: npt.NDArray[np.integer], count: int, each: int = 1) -> None:
        self._order = np.argsort(numbers, kind="stable") // each
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))])

    def of(self, number: int) -> Int64Array:
        """The queries with a number."""
        return self._order[self._starts[number] : self._starts[number + 1]]

    def spread(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Place in `numbers` and query, for all queries of each of them."""
        counts = self._starts[numbers + 1] - self._starts[numbers]
        places = np.repeat(np.arange(len(numbers)), counts)
        offsets = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self._order[self._starts[numbers][places] + offsets]


def _near_hashes(
    group: ImageGroup, distinct: UInt64Array, members: _Members, sketches: Int8Array, config: DecontaminationConfig
) -> Iterator[_Found]:
    """Pairs whose hashes are near and whose features are not far."""
    hashes = group.hashes[:, :UNCUT].ravel()
    telling = np.flatnonzero(tells(hashes))
    # Each of the group's hashes asks: of equal ones all are wanted, since their features differ.
    met = matches_within(hashes[telling], distinct, config.hash_distance)
    for start in range(0, len(met.queries), _PAIRS):
        piece = slice(start, start + _PAIRS)
        places, queries = members.spread(met.hashes[piece])
        rows = (telling[met.queries[piece]] // UNCUT)[places]
        distances = met.distances[piece][places].astype(np.int64)
        for begin in range(0, len(queries), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            similar = _cosines_of_pairs(sketches[queries[part]], group.sketches[rows[part]])
            keep = similar >= config.hash_similarity
            bits = distances[part][keep]
            yield _Found(queries[part][keep], rows[part][keep], bits, similar[keep], bits)


def tells(hashes: UInt64Array) -> npt.NDArray[np.bool_]:
    """Whether hashes tell their picture from a blank one. Of a picture with contents half the bits are set, by the
    hash's definition; few are where most frequencies are nought, as in plain gradients, and blank pictures are near."""
    return np.abs(np.bitwise_count(hashes).astype(np.int64) - 32) <= _EVEN


def _near_features(
    group: ImageGroup, members: _Members, phashes: UInt64Array, sketches: Int8Array, config: DecontaminationConfig
) -> Iterator[_Found]:
    """Pairs whose features are near and whose hashes, of some variant, are not far."""
    numbers, starts = np.unique(group.cells, return_index=True)
    for number, start, stop in zip(numbers, starts, [*starts[1:], len(group.cells)], strict=True):
        asking = members.of(int(number))
        for begin in range(0, len(asking), _BLOCK):
            queries = asking[begin : begin + _BLOCK]
            similar = _cosines(sketches[queries], group.sketches[start:stop])
            one, two = np.nonzero(similar >= min(config.feature_similarity, config.feature_alone))
            rows, near = two + int(start), similar[one, two]
            bits = _nearest_bits(phashes[queries[one]], group.hashes[rows])
            keep = (near >= config.feature_similarity) & (bits <= config.feature_distance)
            keep |= near >= config.feature_alone
            worth = _BY_FEATURES + np.round((1.0 - near[keep]) * 10**DECIMALS).astype(np.int64)
            yield _Found(queries[one[keep]], rows[keep], bits[keep], near[keep], worth)


def _nearest_bits(phashes: UInt64Array, hashes: UInt64Array) -> Int64Array:
    """Bits by which hashes (n) differ from the nearest of their rows (n, v)."""
    bits = np.zeros(len(phashes), np.int64)
    for start in range(0, len(phashes), _PAIRS):
        piece = slice(start, start + _PAIRS)
        bits[piece] = np.bitwise_count(phashes[piece, None] ^ hashes[piece]).min(axis=1)
    return bits


def _cosines(first: Int8Array, second: Int8Array) -> Float64Array:
    """Cosines (n, m) as `mining.similarity` has them."""
    # Products of sketches are whole numbers below 2**24: exact in float32 in any order of sums.
    products = (first.astype(np.float32) @ second.astype(np.float32).T).astype(np.float64)
    lengths = np.outer(_lengths(first), _lengths(second))
    return np.round(products / np.where(lengths > 0, lengths, 1.0), DECIMALS)


def _cosines_of_pairs(first: Int8Array, second: Int8Array) -> Float64Array:
    """Cosines (n) of rows with rows."""
    products = np.einsum("ij,ij->i", first.astype(np.float32), second.astype(np.float32)).astype(np.float64)
    lengths = _lengths(first) * _lengths(second)
    return np.round(products / np.where(lengths > 0, lengths, 1.0), DECIMALS)


def _lengths(sketches: Int8Array) -> Float64Array:
    rows = sketches.astype(np.float32)
    return np.sqrt(np.einsum("ij,ij->i", rows, rows).astype(np.float64))
