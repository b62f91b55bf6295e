"""Re-ranking with global features alone (SuperGlobal, Shao et al., ICCV 2023)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluation.rerankers.order import Int64Array, descending
from evaluation.unit_vectors import Float64Array, checked

#: The published constants.
TOP = 400
NEIGHBOURS = 9
BETA = 0.15

#: Scores that agree to this many decimals are equal: sums of the same products differ in their last bits.
_DECIMALS = 12
#: Gallery rows that are in float64 at a time.
_BLOCK = 16384


def superglobal(
    query: npt.ArrayLike,
    gallery: npt.ArrayLike,
    *,
    top: int = TOP,
    neighbours: int = NEIGHBOURS,
    beta: float = BETA,
) -> Int64Array:
    """All m gallery indices, ranked for one query: `query` d, `gallery` m × d, both of unit length → int64 m.

    The `top` best by `q.x` are ranked anew, the others keep their order behind them; `top` above m is cut to m.

    1. Each of the `top` is refined by its `neighbours` nearest among the `top` (fewer where there are not so many)
       and itself: `x' = sum w x / sum w`, w = 1 for itself and `beta` times the similarity for the others. `x'` is
       not renormalised; where the weights sum to zero it is x. `S1 = q.x'`.
    2. `q'` is the element-wise maximum of `x'` over the first `neighbours + 1` by S1; the query is no part of it.
       `S2 = q'.x'`.
    3. The order is that of `(S1 + S2) / 2`.

    Equal scores (to 12 decimals) go by ascending gallery index, in every step. Computed in float64, a float32 gallery
    in blocks. Vectors are taken as they are: of other lengths than one, similarities are plain products. Raises
    ValueError for shapes that do not fit, values that are not finite, `top` below 1 or negative `neighbours`."""
    q = checked(query, "query", (1,))
    images = np.asarray(gallery)
    if images.ndim != 2 or images.shape[1] != len(q):
        raise ValueError(f"query has shape {q.shape} and gallery {images.shape}; d and m × d fit.")
    if top < 1 or neighbours < 0:
        raise ValueError(f"top is {top}, neighbours {neighbours}; at least 1 and 0 are wanted.")
    ranking = descending(_rounded(_products(q, images)))
    # By ascending gallery index, so that every stable sort below breaks ties by it.
    candidates = np.sort(ranking[:top])
    refined = _refined(checked(images[candidates], "gallery", (2,)), neighbours, beta)
    first = refined @ q
    best = descending(_rounded(first))[: neighbours + 1]
    expanded = refined[best].max(axis=0) if len(best) else q
    second = refined @ expanded
    order = descending(_rounded((first + second) / 2))
    return np.concatenate([candidates[order], ranking[top:]])


def _refined(x: Float64Array, neighbours: int, beta: float) -> Float64Array:
    """x' of step 1 for M × d vectors."""
    similarities = x @ x.T
    others = _rounded(similarities)
    np.fill_diagonal(others, -np.inf)
    count = min(neighbours, max(len(x) - 1, 0))
    nearest = np.argsort(-others, axis=1, kind="stable")[:, :count]
    weights = beta * np.take_along_axis(similarities, nearest, axis=1)
    total = x.copy()
    for column in range(count):
        total += weights[:, column, None] * x[nearest[:, column]]
    sums = 1 + weights.sum(axis=1, keepdims=True)
    # Opposite neighbours under a large beta can take all the weight away; such a vector stays as it is.
    return np.divide(total, sums, out=x.copy(), where=np.abs(sums) > 1e-12)


def _products(query: Float64Array, gallery: npt.NDArray[np.floating]) -> Float64Array:
    scores = np.empty(len(gallery))
    for start in range(0, len(gallery), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores[block] = checked(gallery[block], "gallery", (2,)) @ query
    return scores


def _rounded(scores: Float64Array) -> Float64Array:
    return np.round(scores, _DECIMALS)
