"""Exact search in blocks: the places of relevant items, with bounds over ties, and the first k.

A score is the float32 nearest to the inner product that float64 gives (of unit vectors for `cosine`), so that it does
not depend on how the work is cut or on the order of the gallery, and equal items tie. The order is by descending score,
then by ascending gallery index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from schemas.protocols import Float32Array

Similarity = Literal["cosine", "dot"]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Bytes of a block of scores; the float64 parts of a block and the copy of a small gallery stay below as well.
BLOCK_BYTES = 1 << 29
#: Up to so many relevant items are counted one by one, more by sorting the row.
_FEW = 12


class Gallery:
    """Vectors (m, d) that queries are scored against, read from `vectors` in the order `rows`."""

    def __init__(
        self,
        vectors: Float32Array,
        rows: IntArray | None = None,
        similarity: Similarity = "cosine",
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._vectors = vectors
        if rows is not None and len(rows) == len(vectors) and np.array_equal(rows, np.arange(len(rows))):
            rows = None
        self._rows = rows
        self._similarity = similarity
        self._block_bytes = block_bytes
        self.size, self.dimension = len(vectors) if rows is None else len(rows), vectors.shape[1]
        self._step = max(1, block_bytes // 8 // (8 * max(1, self.dimension)))
        self._scale = np.ones(self.size)
        if similarity == "cosine":
            for part in self._parts(self._step):
                self._scale[part] = _inverse_norms(self._read(part))
        #: Length of the longest vector as it is scored.
        self.longest = 1.0 if similarity == "cosine" else self._longest()
        self._small = self.size * self.dimension * 8 <= block_bytes
        self._kept: Float64Array | None = None

    def _longest(self) -> float:
        lengths = [np.linalg.norm(self._read(part), axis=1).max(initial=0.0) for part in self._parts(self._step)]
        return float(max(lengths, default=0.0))

    def _parts(self, step: int) -> Iterator[slice]:
        return (slice(left, min(left + step, self.size)) for left in range(0, self.size, step))

    def _read(self, part: slice | IntArray) -> Float64Array:
        found: Float64Array = self._vectors[part if self._rows is None else self._rows[part]].astype(np.float64)
        return found

    def _part(self, part: slice | IntArray) -> Float64Array:
        if self._kept is None and self._small:
            self._kept = self._read(slice(0, self.size))
        return self._read(part) if self._kept is None else self._kept[part]

    def vectors(self, part: slice) -> Float32Array:
        """A part of the gallery, of unit length for `cosine`, rounded to float32."""
        raw = self._vectors[part if self._rows is None else self._rows[part]]
        return raw * self._scale[part, None].astype(np.float32)

    def prepared(self, queries: Float32Array) -> Float64Array:
        """Queries as they are scored."""
        found: Float64Array = queries.astype(np.float64)
        return found * _inverse_norms(found)[..., None] if self._similarity == "cosine" else found

    def score_blocks(self, queries: Float32Array) -> Iterator[tuple[int, Float32Array]]:
        """Blocks of queries (n, d) in order: the first one's number and scores float32 (b, m), which the caller may
        change."""
        height = min(1024, max(1, self._block_bytes // (4 * max(1, self.size))))
        width = max(1, min(self._step, self._block_bytes // (16 * height)))
        for start in range(0, len(queries), height):
            asked = self.prepared(queries[start : start + height])
            scores = np.empty((len(asked), self.size), np.float32)
            for part in self._parts(width):
                product = asked @ self._part(part).T
                product *= self._scale[part]
                scores[:, part] = product
            yield start, scores

    def scores_of(self, queries: Float32Array, items: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]:
        """The same for queries with lists of their own: for each the numbers of gallery items, which may repeat. Scores
        float32 (b, longest list), shorter lists at -inf after their end."""
        longest = max((len(one) for one in items), default=0)
        height = min(1024, max(1, self._block_bytes // (32 * max(1, longest * self.dimension))))
        for start in range(0, len(queries), height):
            asked, lists = self.prepared(queries[start : start + height]), items[start : start + height]
            numbers = np.zeros((len(lists), longest), np.int64)
            within = np.arange(longest) < np.array([len(one) for one in lists])[:, None]
            numbers[within] = np.concatenate([np.zeros(0, np.int64), *lists])
            flat = numbers.ravel()
            vectors = (self._read(flat) if self._kept is None else self._kept[flat]).reshape(
                *numbers.shape, self.dimension
            )
            scores = np.einsum("bcd,bd->bc", vectors, asked) * self._scale[numbers]
            yield start, np.where(within, scores, -np.inf).astype(np.float32)


def _inverse_norms(vectors: Float64Array) -> Float64Array:
    """1 over the length of each row, 1 for a row of zeros. Squares of float32 values stay in range in float64."""
    norms: Float64Array = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return 1.0 / np.where(norms > 0, norms, 1.0)


@dataclass(frozen=True)
class Places:
    """Where the P relevant items of one query stand, in the order of the ranking.

    `items` int64 (P,): their numbers. `ranks` int64 (3, P), 1-based and increasing: in the order that is reported, and
    with irrelevant items before (pessimistic) and after (optimistic) the relevant ones that they tie with. `greater`
    and `at_least` int64 (P,): items of the list with a higher score, and with no lower one. `size`: its length.
    """

    items: IntArray
    ranks: IntArray
    greater: IntArray
    at_least: IntArray
    size: int


def target_ranks(scores: Float32Array, targets: IntArray) -> IntArray:
    """Ranks int64 (b, 3) of one item a row in scores (b, m): as reported, pessimistic, optimistic (see `Places`)."""
    rows = np.arange(len(targets))
    thresholds = scores[rows, targets][:, None]
    best = np.count_nonzero(scores > thresholds, axis=1) + 1
    worst = np.count_nonzero(scores >= thresholds, axis=1)
    reported = best.copy()
    for row in np.flatnonzero(worst > best):
        reported[row] += np.count_nonzero(scores[row, : targets[row]] == thresholds[row])
    return np.stack([reported, worst, best], axis=1)


def places(scores: Float32Array, relevant: IntArray) -> Places:
    """Rank the relevant items in a list of scores (m,); items with a score of -inf stand at its end."""
    thresholds = scores[relevant]
    order = np.lexsort((relevant, -thresholds))
    items, thresholds = np.asarray(relevant, np.int64)[order], thresholds[order]
    greater, at_least = _counts(scores, thresholds)
    own = np.arange(len(items))
    # Relevant items above each: a tied group counts from its first to its last.
    above = np.searchsorted(-thresholds, -thresholds, side="left")
    until = np.searchsorted(-thresholds, -thresholds, side="right")
    best = greater - above
    worst = at_least - until
    reported = best.copy()
    for number in np.flatnonzero(best != worst):
        tied = np.flatnonzero(scores[: items[number]] == thresholds[number])
        before = np.count_nonzero(items[above[number] : until[number]] < items[number])
        reported[number] += len(tied) - before
    return Places(items, np.stack([reported, worst, best]) + own + 1, greater, at_least, len(scores))


def _counts(scores: Float32Array, thresholds: Float32Array) -> tuple[IntArray, IntArray]:
    """For each threshold the number of scores above it, and of scores not below it."""
    if len(thresholds) <= _FEW:
        greater = [np.count_nonzero(scores > one) for one in thresholds]
        at_least = [np.count_nonzero(scores >= one) for one in thresholds]
        return np.array(greater, np.int64), np.array(at_least, np.int64)
    ordered = np.sort(scores)
    size = len(scores)
    return (
        size - np.searchsorted(ordered, thresholds, side="right"),
        size - np.searchsorted(ordered, thresholds, side="left"),
    )


def first_k(scores: Float32Array, k: int) -> IntArray:
    """Numbers int64 of the k highest scores (m,), in order; ties by ascending number; items at -inf are left out."""
    size = len(scores)
    candidates: Any = np.arange(size)
    if k < size:
        edge = np.partition(scores, size - k)[size - k]
        candidates = np.flatnonzero(scores >= edge)
    order = np.argsort(-scores[candidates], kind="stable")[:k]
    found: IntArray = candidates[order]
    return found[scores[found] > -np.inf]
