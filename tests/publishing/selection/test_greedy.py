"""The greedy choices: against plain greedy ones, and against the best that there is."""

from itertools import combinations

import numpy as np
import pytest

from publishing.selection.clusters import blocks, cluster_count, k_means
from publishing.selection.facility import coverage, facility_order
from publishing.selection.greedy import Spread, lazy_greedy, take_in_order, water_level

EMPTY = np.zeros(0, np.int64)


def unit(rng, rows, width=8, centres=None):
    found = rng.standard_normal((rows, width))
    if centres is not None:
        found = found * 0.2 + centres[rng.integers(0, len(centres), rows)]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def plain_order(vectors, taken, limit):
    """Greedy without shortcuts, over the same rounded similarities."""
    similar = np.round(np.maximum(vectors @ vectors.T, 0) * 1024) / 1024
    reached = similar[taken].max(axis=0) if len(taken) else np.zeros(len(vectors))
    order = []
    left = [row for row in range(len(vectors)) if row not in set(taken.tolist())]
    while left and len(order) < limit:
        best = max(left, key=lambda row: (np.maximum(similar[row] - reached, 0).sum(), -row))
        order.append(best)
        left.remove(best)
        reached = np.maximum(reached, similar[best])
    return order


@pytest.mark.parametrize("seed", range(6))
def test_lazy_facility_location_is_the_greedy_one(seed):
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 60)
    # Equal vectors: ties go to the smaller row.
    vectors[[7, 21, 40]] = vectors[3]
    taken = np.array([5, 11]) if seed % 2 else EMPTY
    order, added = facility_order(vectors, taken, 30)
    assert order.tolist() == plain_order(vectors, taken, 30)
    assert (np.diff(added) <= 1e-9).all()
    assert not set(order.tolist()) & set(taken.tolist())


def test_facility_location_keeps_its_guarantee():
    rng = np.random.default_rng(1)
    vectors = unit(rng, 14, 4)
    order, added = facility_order(vectors, EMPTY, 4)
    best = max(coverage(vectors, np.array(some)) for some in combinations(range(14), 4))
    assert coverage(vectors, order) >= (1 - 1 / np.e) * best
    assert coverage(vectors, order) == pytest.approx(added.sum(), abs=0.02)
    assert coverage(vectors, EMPTY) == 0


def test_one_of_each_heap_comes_first():
    rng = np.random.default_rng(2)
    vectors = unit(rng, 300, 16, np.eye(16) * 3)
    order, _ = facility_order(vectors, EMPTY, 16)
    assert len({int(vectors[row].argmax()) for row in order}) == 16


def test_clusters_are_the_same_again_and_closed_up():
    rng = np.random.default_rng(3)
    vectors = unit(rng, 500, 16, np.eye(16) * 3)
    labels = k_means(vectors, 12, 0)
    assert (k_means(vectors, 12, 0) == labels).all()
    assert sorted(set(labels.tolist())) == list(range(labels.max() + 1))
    assert k_means(vectors, 1, 0).max() == 0
    assert k_means(vectors[:3], 9, 0).shape == (3,)
    assert (cluster_count(100, None), cluster_count(10**9, None), cluster_count(5, 9), cluster_count(0, None)) == (
        10,
        4096,
        5,
        1,
    )


def test_blocks_part_the_rows_and_none_is_too_large():
    rng = np.random.default_rng(4)
    vectors = unit(rng, 700, 8)
    # Rows that nothing tells apart are cut by their order.
    vectors[100:400] = vectors[100]
    labels = k_means(vectors, 3, 0)
    found = blocks(vectors, labels, 64, 0)
    assert sorted(np.concatenate(found).tolist()) == list(range(700))
    assert max(len(one) for one in found) <= 64
    assert all(len(set(labels[one].tolist())) == 1 for one in found)


def test_water_level():
    assert water_level(np.array([1, 5, 9]), 9) == 4
    assert water_level(np.array([1, 5, 9]), 15) == 9
    assert water_level(np.array([1, 5, 9]), 99) == 9
    assert water_level(EMPTY, 3) == 0


def spread(values, size, **more):
    return Spread(np.arange(len(values) + 1), np.array(values), size, **more)


def brute(gains, values, chosen, size, weight):
    """The value of a choice, as the docstrings have it."""
    one = spread(values, size, weight=weight)
    total = 0.0
    for row in chosen:
        total += gains[row] + one.gain(row)
        one.take(row)
    return total


def test_the_spread_is_one_where_every_value_has_its_share():
    values = [0] * 6 + [1] * 2 + [2] * 4
    one = spread(values, 6, weight=1.0)
    # Shares of 6: two each.
    rows = [0, 1, 6, 7, 8, 9]
    total = 0.0
    for row in rows:
        total += one.gain(row)
        one.take(row)
    assert total == pytest.approx(1.0)
    assert one.gain(2) == 0


@pytest.mark.parametrize("seed", range(5))
def test_lazy_greedy_is_the_greedy_one_and_keeps_its_guarantee(seed):
    rng = np.random.default_rng(seed)
    gains, values = np.round(rng.random(12) * 0.2, 2), rng.integers(0, 4, 12).tolist()
    found = lazy_greedy(np.arange(12), gains, 5, [spread(values, 5, weight=1.0)])
    plain, one = [], spread(values, 5, weight=1.0)
    for _ in range(5):
        left = [row for row in range(12) if row not in plain]
        best = max(left, key=lambda row: (gains[row] + one.gain(row), -row))
        plain.append(best)
        one.take(best)
    assert found == plain
    best_value = max(brute(gains, values, some, 5, 1.0) for some in combinations(range(12), 5))
    assert brute(gains, values, found, 5, 1.0) >= (1 - 1 / np.e) * best_value
    loose = lazy_greedy(np.arange(12), gains, 5, [spread(values, 5, weight=1.0)], 0.05)
    assert brute(gains, values, loose, 5, 1.0) >= (1 - 1 / np.e - 0.05) * best_value


def test_caps_are_exact():
    rng = np.random.default_rng(5)
    values = rng.integers(0, 5, 200).tolist()
    one = spread(values, 60, cap=7)
    found = lazy_greedy(np.arange(200), rng.random(200), 60, [one])
    assert len(found) == 35
    assert one.counts == [7] * 5
    one = spread(values, 60, cap=20)
    assert len(lazy_greedy(np.arange(200), rng.random(200), 60, [one], 0.01)) == 60
    assert max(one.counts) <= 20
    one = spread([0, 0, 0, 1], 3, cap=2)
    assert take_in_order([0, 1, 2, 3], 3, [one]) == [0, 1, 3]
