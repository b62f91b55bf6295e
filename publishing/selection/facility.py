"""Facility location: rows that stand for others, greedily, within blocks of rows that are compared pairwise."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from schemas.protocols import Float32Array

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

#: Similarities are multiples of this, so that their sums are exact in any order (blocks have at most 2^14 rows).
_GRAIN = 1.0 / 1024


def facility_order(vectors: Float32Array, taken: Int64Array, limit: int) -> tuple[Int64Array, Float64Array]:
    """Rows of a block (vectors n × d, unit length) in greedy order of how much they add to
    `F(S) = Σ_j max(0, max_{i in S} cosine(i, j))`, at most `limit` of them, with what each adds, not rising.

    `taken` are rows that are in `S` before and are not given again. F is monotone and submodular, so that any first
    part of the order has at least 1 - 1/e of the best F that as many rows can reach (Nemhauser, Wolsey and Fisher
    1978). Lazy (Minoux 1978): a row's gain is computed again only when its last one makes it the best. Ties go to the
    smaller row number. Memory is n² floats.
    """
    count = len(vectors)
    similar = np.round(np.maximum(vectors @ vectors.T, 0) / _GRAIN).astype(np.float32)
    reached = similar[taken].max(axis=0) if len(taken) else np.zeros(count, np.float32)
    gains = np.maximum(similar - reached, 0).sum(axis=1, dtype=np.float64)
    gone = set(taken.tolist())
    heap = [(-float(gains[row]), row, 0) for row in range(count) if row not in gone]
    heapq.heapify(heap)
    order: list[int] = []
    added: list[float] = []
    while heap and len(order) < limit:
        bound, row, when = heapq.heappop(heap)
        if when < len(order):
            gain = float(np.maximum(similar[row] - reached, 0).sum(dtype=np.float64))
            if heap and (-gain, row) > heap[0][:2]:
                heapq.heappush(heap, (-gain, row, len(order)))
                continue
            bound = -gain
        order.append(row)
        added.append(-bound * _GRAIN)
        np.maximum(reached, similar[row], out=reached)
    return np.array(order, np.int64), np.array(added, np.float64)


def coverage(vectors: Float32Array, chosen: Int64Array) -> float:
    """`F(S)` of the chosen rows of a block."""
    if not len(chosen):
        return 0.0
    return float(np.maximum(vectors @ vectors[chosen].T, 0).max(axis=1).sum(dtype=np.float64))
