"""Cells of like feature sketches, so that a search looks at few of a benchmark's images (an inverted file as in Sivic
and Zisserman 2003; k-means on the sphere)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int8Array = npt.NDArray[np.int8]
Float32Array = npt.NDArray[np.float32]

_ROUNDS = 8
#: Sketches for each cell from which its centre is learnt.
_SAMPLE = 64
#: Rows compared at once.
_BLOCK = 4096


def unit_rows(sketches: Int8Array) -> Float32Array:
    """Sketches int8 (n, d) → float32 (n, d) of unit length; zeros stay zeros."""
    rows = sketches.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def centres(sketches: Int8Array, count: int) -> Int8Array:
    """Centres of `count` cells of sketches (n, d): int8 (min(count, n), d), equal on every call with equal rows.

    They are learnt from evenly spread rows. Small numbers, so that comparing with them is exact (see
    `mining.similarity`)."""
    total = len(sketches)
    count = min(count, total)
    if count <= 1:
        return sketches[:count]
    size = min(total, count * _SAMPLE)
    sample = unit_rows(sketches[np.arange(size) * total // size])
    found = sample[np.arange(count) * size // count]
    for _ in range(_ROUNDS):
        nearest = _best(sample, found)
        order = np.argsort(nearest, kind="stable")
        starts = np.searchsorted(nearest[order], np.arange(count))
        filled = np.diff(np.append(starts, size)) > 0
        sums = np.add.reduceat(sample[order], starts[filled], axis=0)
        # A cell that lost all its rows stays where it was.
        found[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    largest = np.abs(found).max(axis=1, keepdims=True)
    return np.round(found / np.where(largest > 0, largest, 1.0) * 127.0).astype(np.int8)


def nearest_cells(sketches: Int8Array, cells: Int8Array, probes: int) -> npt.NDArray[np.int32]:
    """The `probes` nearest cells of each sketch, nearest first, ties by number: int32 (n, min(probes, c))."""
    found = np.zeros((len(sketches), min(probes, len(cells))), np.int32)
    units = unit_rows(cells)
    for start in range(0, len(sketches), _BLOCK):
        # Rounded, so that the last bits of a library's products never decide between cells.
        scores = np.round(unit_rows(sketches[start : start + _BLOCK]) @ units.T, 5)
        if found.shape[1] == 1:
            found[start : start + _BLOCK, 0] = scores.argmax(axis=1)
        else:
            found[start : start + _BLOCK] = np.argsort(-scores, axis=1, kind="stable")[:, : found.shape[1]]
    return found


def _best(rows: Float32Array, found: Float32Array) -> npt.NDArray[np.int64]:
    parts = [(rows[start : start + _BLOCK] @ found.T).argmax(axis=1) for start in range(0, len(rows), _BLOCK)]
    return np.concatenate(parts)
