"""The order of results: descending score, equal scores by ascending index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


def descending(scores: npt.NDArray[np.floating]) -> Int64Array:
    """Indices of `scores` (m) from the highest to the lowest; equal ones by ascending index."""
    return np.argsort(-scores, kind="stable").astype(np.int64, copy=False)


def checked_ranking(ranking: npt.ArrayLike, size: int) -> Int64Array:
    """A ranking of distinct indices below `size`, as int64. Raises ValueError for anything else."""
    indices = np.asarray(ranking)
    if indices.ndim != 1 or not (indices.size == 0 or np.issubdtype(indices.dtype, np.integer)):
        raise ValueError(f"a ranking has shape {indices.shape} and type {indices.dtype}; integers in a row are wanted.")
    if indices.size and not 0 <= indices.min() <= indices.max() < size:
        raise ValueError(f"a ranking names an index outside 0…{size - 1}.")
    if len(np.unique(indices)) != indices.size:
        raise ValueError("a ranking names an index twice.")
    return indices.astype(np.int64)
