"""Metrics of one query as pure functions of the 1-based ranks of its relevant items.

`ranks` is an integer array (..., P), increasing along the last axis: the places of the relevant items that were ranked.
`relevant` is the number of relevant items that the metric counts, ranked or not. Results are fractions, float64 (...).
Each function falls or stays when an item moves down, so that ranks of the worst and the best order of tied items give
the bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
Float64Array = npt.NDArray[np.float64]


def _float(values: Any) -> Float64Array:
    found: Float64Array = np.asarray(values, np.float64)
    return found


def found_within(ranks: IntArray, k: int) -> Float64Array:
    """1 where a single target's rank (...) is among the first k, else 0."""
    return _float(ranks <= k)


def hit(ranks: IntArray, k: int) -> Float64Array:
    """1 if any relevant item is among the first k, else 0."""
    return _float((ranks <= k).any(axis=-1))


def recall(ranks: IntArray, relevant: float, k: int) -> Float64Array:
    """Share of the relevant items among the first k."""
    return _float((ranks <= k).sum(axis=-1) / relevant)


def precision(ranks: IntArray, k: int) -> Float64Array:
    """Relevant items among the first k, divided by k."""
    return _float((ranks <= k).sum(axis=-1) / k)


def precision_until_last(ranks: IntArray, k: int) -> Float64Array:
    """Precision at min(k, rank of the last relevant item): mP@k of Revisited Oxford and Paris."""
    cut = np.minimum(ranks[..., -1], k)
    return _float((ranks <= cut[..., None]).sum(axis=-1) / cut)


def reciprocal_rank(ranks: IntArray, k: int | None = None) -> Float64Array:
    """1 / rank of the first relevant item; 0 if it is not among the first k."""
    if not ranks.shape[-1]:
        return np.zeros(ranks.shape[:-1])
    first = ranks[..., 0]
    return _float(np.where(first <= (k or np.inf), 1.0 / first, 0.0))


def _precisions(ranks: IntArray) -> Float64Array:
    """Precision at the place of each relevant item."""
    return _float(np.arange(1, ranks.shape[-1] + 1) / ranks)


def average_precision(ranks: IntArray, relevant: int, k: int | None = None) -> Float64Array:
    """Sum of the precisions at relevant items among the first k, divided by min(k, relevant)."""
    values = _precisions(ranks)
    if k is None:
        return _float(values.sum(axis=-1) / relevant)
    return _float(np.where(ranks <= k, values, 0.0).sum(axis=-1) / min(k, relevant))


def voc_average_precision(ranks: IntArray, relevant: int, k: int | None = None) -> Float64Array:
    """The same with each precision raised to the highest one at or after it (the envelope of PASCAL VOC)."""
    values = _precisions(ranks)
    if k is not None:
        values = np.where(ranks <= k, values, 0.0)
    envelope = np.maximum.accumulate(values[..., ::-1], axis=-1)[..., ::-1]
    if k is not None:
        envelope = np.where(ranks <= k, envelope, 0.0)
    return _float(envelope.sum(axis=-1) / (relevant if k is None else min(k, relevant)))


def trapezoid_average_precision(ranks: IntArray, relevant: int) -> Float64Array:
    """Area under the precision-recall curve by trapezoids, as Revisited Oxford and Paris have it."""
    found = np.arange(ranks.shape[-1])
    before = np.where(ranks == 1, 1.0, found / np.maximum(ranks - 1, 1))
    return _float((before + _precisions(ranks)).sum(axis=-1) / (2 * relevant))


def _discounts(k: int) -> Float64Array:
    return 1.0 / np.log2(np.arange(2, k + 2))


def ndcg(ranks: IntArray, relevant: int, k: int) -> Float64Array:
    """Normalised discounted cumulative gain at k with gains of 1; the ideal has min(k, relevant) of them."""
    gained = np.where(ranks <= k, 1.0 / np.log2(ranks + 1.0), 0.0).sum(axis=-1)
    return _float(gained / _discounts(min(k, relevant)).sum())


def best_value(ranks: IntArray, values: Float64Array, k: int) -> Float64Array:
    """The highest of `values` (P,) whose item is among the first k, 0 if none; ranks need not increase here."""
    return _float(np.where(ranks <= k, values, 0.0).max(axis=-1, initial=0.0))


def grouped_average_precision(ranks: IntArray, at_least: IntArray, relevant: int, k: int) -> float:
    """Average precision at k with tied items at one threshold, as scikit-learn has it, over the first k items.

    `ranks` (P,) in the order of the list, `at_least` (P,) the number of items whose score is no less.
    """
    within = ranks <= k
    thresholds = np.minimum(at_least[within], k)
    hits = np.searchsorted(thresholds, thresholds, side="right")
    return float((hits / thresholds).sum() / min(k, relevant)) if len(hits) else 0.0


def averaged_ndcg(ranks: IntArray, greater: IntArray, at_least: IntArray, relevant: int, k: int) -> float:
    """nDCG at k where each tied item gains the mean of its group, as scikit-learn has it, over the first k items.

    `greater` and `at_least` (P,): the number of items with a higher score, and with no lower one.
    """
    within = ranks <= k
    sums = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    first, last = greater[within], np.minimum(at_least[within], k)
    gained = ((sums[last] - sums[first]) / (last - first)).sum()
    return float(gained / sums[min(k, relevant)])
