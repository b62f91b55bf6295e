"""Metrics against values worked by hand, the programs' loops from their definitions, and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import metrics

RANKS = st.sets(st.integers(1, 40), min_size=1, max_size=12).map(lambda found: np.array(sorted(found)))


def test_by_hand():
    """Relevant items at places 1, 3 and 8, and a fourth that was not ranked."""
    ranks = np.array([1, 3, 8])
    assert metrics.hit(ranks, 1) == 1.0
    assert metrics.hit(ranks + 1, 1) == 0.0
    assert metrics.recall(ranks, 4, 3) == 0.5
    assert metrics.precision(ranks, 5) == 0.4
    assert metrics.reciprocal_rank(ranks + 2) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(ranks + 2, 2) == 0.0
    assert metrics.average_precision(ranks, 4) == pytest.approx((1 + 2 / 3 + 3 / 8) / 4)
    assert metrics.average_precision(ranks, 4, 5) == pytest.approx((1 + 2 / 3) / 4)
    assert metrics.average_precision(ranks, 4, 3) == pytest.approx((1 + 2 / 3) / 3), "divided by min(k, relevant)"
    assert metrics.precision_until_last(ranks, 10) == 3 / 8, "the last relevant item stands at 8"
    assert metrics.precision_until_last(ranks, 5) == 2 / 5
    assert metrics.ndcg(ranks, 4, 5) == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)))
    assert metrics.trapezoid_average_precision(ranks, 3) == pytest.approx(
        ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 7 + 3 / 8) / 2) / 3
    )


def test_the_envelope_raises_precisions_to_later_ones():
    ranks = np.array([4, 5, 6])
    assert metrics.average_precision(ranks, 3) == pytest.approx((1 / 4 + 2 / 5 + 3 / 6) / 3)
    assert metrics.voc_average_precision(ranks, 3) == pytest.approx(1 / 2)
    assert metrics.voc_average_precision(ranks, 3, 5) == pytest.approx((2 / 5 + 2 / 5) / 3), "what is cut is not seen"


def test_nothing_relevant_ranked_is_zero():
    none = np.zeros((3, 0), np.int64)
    assert metrics.hit(none, 5).tolist() == [0, 0, 0]
    assert metrics.recall(none, 1e-5, 5).tolist() == [0, 0, 0]
    assert metrics.reciprocal_rank(none).tolist() == [0, 0, 0]
    assert metrics.best_value(none, np.zeros(0), 5).tolist() == [0, 0, 0]


def _curve(ranks, size):
    flags = np.zeros(size)
    flags[ranks - 1] = 1
    hits = np.cumsum(flags)
    return flags, hits / np.arange(1, size + 1), hits


@settings(deadline=None)
@given(RANKS, st.integers(0, 3), st.integers(1, 45))
def test_average_precisions_from_whole_curves(ranks, lost, k):
    flags, precision, hits = _curve(ranks, 50)
    relevant = len(ranks) + lost
    cut = flags * (np.arange(50) < k)
    assert metrics.average_precision(ranks, relevant, k) == pytest.approx((precision * cut).sum() / min(k, relevant))
    recall = hits[:k] / min(k, relevant)
    envelope = [precision[place:k].max() for place in range(k)]
    steps = np.diff(np.concatenate([[0], recall]))
    assert metrics.voc_average_precision(ranks, relevant, k) == pytest.approx((steps * envelope).sum())


@settings(deadline=None)
@given(RANKS)
def test_the_trapezoid_is_the_area_under_the_broken_line(ranks):
    flags, precision, _ = _curve(ranks, 50)
    before = np.concatenate([[1.0], precision[:-1]])
    area = sum((before[place] + precision[place]) / 2 for place in np.flatnonzero(flags)) / len(ranks)
    assert metrics.trapezoid_average_precision(ranks, len(ranks)) == pytest.approx(area)


@settings(deadline=None)
@given(RANKS, st.data())
def test_no_metric_gains_when_an_item_falls(ranks, data):
    place = data.draw(st.integers(0, len(ranks) - 1))
    limit = ranks[place + 1] - 1 if place + 1 < len(ranks) else 60
    fallen = ranks.copy()
    fallen[place] = data.draw(st.integers(int(ranks[place]), int(limit)))
    both, count, k = np.stack([ranks, fallen]), len(ranks) + 1, data.draw(st.integers(1, 50))
    for found in (
        metrics.hit(both, k),
        metrics.recall(both, count, k),
        metrics.precision_until_last(both, k),
        metrics.reciprocal_rank(both, k),
        metrics.average_precision(both, count, k),
        metrics.voc_average_precision(both, count, k),
        metrics.trapezoid_average_precision(both, count),
        metrics.ndcg(both, count, k),
    ):
        assert found[0] >= found[1] - 1e-12


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20).filter(
        lambda rows: any(relevant for _, relevant in rows)
    ),
    st.integers(0, 4),
)
def test_tied_scores_as_scikit_learn_has_them(rows, lost):
    """The list is the first k: its AP weighted by hits / min(k, relevant), and the lost ones appended at -100."""
    sklearn = pytest.importorskip("sklearn.metrics")
    rows.sort(key=lambda row: -row[0])
    scores, flags = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    k, relevant = len(rows), int(flags.sum()) + lost
    places = np.flatnonzero(flags)
    greater = np.array([(scores > scores[place]).sum() for place in places])
    at_least = np.array([(scores >= scores[place]).sum() for place in places])
    expected = sklearn.average_precision_score(flags, scores) * flags.sum() / min(k, relevant)
    assert metrics.grouped_average_precision(places + 1, at_least, relevant, k) == pytest.approx(expected)
    if k + lost > 1:
        gains, told = [*flags.astype(int), *[1] * lost], [*scores, *[-100.0] * lost]
        expected = sklearn.ndcg_score([gains], [told], k=k)
        assert metrics.averaged_ndcg(places + 1, greater, at_least, relevant, k) == pytest.approx(expected)


def test_the_best_value_within_the_cut():
    ranks, values = np.array([3, 1, 2]), np.array([1.0, 0.2, 0.5])
    assert [metrics.best_value(ranks, values, k) for k in (1, 2, 3)] == [0.2, 0.5, 1.0]
