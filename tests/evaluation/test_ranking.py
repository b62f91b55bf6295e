"""Ranking against its definition: order, bounds over ties, blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import average_precision
from evaluation.ranking import Gallery, first_k, places, target_ranks

SCORES = st.lists(st.integers(-2, 2), min_size=1, max_size=9).map(lambda found: np.array(found, np.float32))


def _order(scores):
    return sorted(range(len(scores)), key=lambda item: (-scores[item], item))


def test_six_equal_scores_stand_in_ascending_order():
    scores = np.ones(6, np.float32)
    assert first_k(scores, 6).tolist() == [0, 1, 2, 3, 4, 5]
    assert first_k(scores, 2).tolist() == [0, 1]
    found = places(scores, np.array([4]))
    assert found.ranks[:, 0].tolist() == [5, 6, 1]
    assert target_ranks(scores[None], np.array([4])).tolist() == [[5, 6, 1]]


@settings(deadline=None)
@given(SCORES, st.integers(1, 12))
def test_the_first_k_are_those_of_a_stable_sort(scores, k):
    assert first_k(scores, k).tolist() == _order(scores)[:k]


def test_excluded_items_are_not_among_the_first():
    scores = np.array([0.5, -np.inf, 0.7, -np.inf], np.float32)
    assert first_k(scores, 4).tolist() == [2, 0]


@settings(deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=6).map(lambda found: np.array(found, np.float32)), st.data())
def test_places_against_every_order_of_tied_items(scores, data):
    """The reported order is the stable one, and the bounds are the worst and best average precision of all orders."""
    relevant = data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1, max_size=4))
    found = places(scores, np.array(sorted(relevant)))
    order = _order(scores)
    assert found.ranks[0].tolist() == [place + 1 for place, item in enumerate(order) if item in relevant]
    assert found.items.tolist() == [item for item in order if item in relevant]
    assert found.greater.tolist() == [(scores > scores[item]).sum() for item in found.items]
    assert found.at_least.tolist() == [(scores >= scores[item]).sum() for item in found.items]
    levels = sorted(set(scores.tolist()), reverse=True)
    groups = [[item for item in range(len(scores)) if scores[item] == level] for level in levels]
    values = []
    for one in itertools.product(*(itertools.permutations(group) for group in groups)):
        whole = [item for group in one for item in group]
        ranks = np.array([place + 1 for place, item in enumerate(whole) if item in relevant])
        values.append(float(average_precision(ranks, len(relevant))))
    bounds = average_precision(found.ranks[1:], len(relevant))
    assert bounds == pytest.approx([min(values), max(values)])


def test_many_relevant_items_are_counted_as_few_are():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 400).astype(np.float32)
    relevant = np.sort(rng.choice(400, 90, replace=False))
    found = places(scores, relevant)
    order = _order(scores)
    held = set(relevant.tolist())
    assert found.ranks[0].tolist() == [place + 1 for place, item in enumerate(order) if item in held]
    worst = sorted(range(400), key=lambda item: (-scores[item], item in held))
    best = sorted(range(400), key=lambda item: (-scores[item], item not in held))
    assert found.ranks[1].tolist() == [place + 1 for place, item in enumerate(worst) if item in held]
    assert found.ranks[2].tolist() == [place + 1 for place, item in enumerate(best) if item in held]


def test_scores_are_cosines_rounded_once_whatever_the_blocks():
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((37, 24)).astype(np.float32)
    vectors = rng.standard_normal((113, 24)).astype(np.float32)
    wide, long = queries.astype(np.float64), vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)[:, None] * np.linalg.norm(long, axis=1)
    expected = (wide @ long.T / lengths).astype(np.float32)
    rows = rng.permutation(113)
    for block_bytes in (1 << 29, 4096, 700):
        blocks = list(Gallery(vectors, rows, "cosine", block_bytes).score_blocks(queries))
        assert [start for start, _ in blocks] == list(itertools.accumulate([0, *(len(one) for _, one in blocks[:-1])]))
        found = np.concatenate([scores for _, scores in blocks])
        assert np.array_equal(found, expected[:, rows])
    plain = np.concatenate([scores for _, scores in Gallery(vectors, None, "dot").score_blocks(queries)])
    assert np.array_equal(plain, (wide @ long.T).astype(np.float32))


def test_lists_of_their_own_may_differ_in_length_and_repeat_items():
    rng = np.random.default_rng(2)
    queries = rng.standard_normal((3, 8)).astype(np.float32)
    gallery = Gallery(rng.standard_normal((10, 8)).astype(np.float32))
    whole = np.concatenate([scores for _, scores in gallery.score_blocks(queries)])
    lists = [np.array([4, 4, 1]), np.array([9]), np.zeros(0, np.int64)]
    ((start, scores),) = gallery.scores_of(queries, lists)
    assert start == 0
    assert scores[0].tolist() == whole[0, [4, 4, 1]].tolist()
    assert scores[1].tolist() == [whole[1, 9], -np.inf, -np.inf]
    assert scores[2].tolist() == [-np.inf] * 3


def test_a_vector_of_zeros_scores_zero():
    vectors = np.array([[0, 0], [1, 0], [-1, 0]], np.float32)
    ((_, scores),) = Gallery(vectors).score_blocks(np.array([[2, 0], [0, 0]], np.float32))
    assert scores.tolist() == [[0, 1, -1], [0, 0, 0]]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-20, 0.37, 3.0, 1e15]))
def test_scale_and_order_of_the_gallery_change_no_score(seed, factor):
    """Small whole numbers tie often; the same pairs must tie after any change."""
    rng = np.random.default_rng(seed)
    queries = rng.integers(-2, 3, (4, 6)).astype(np.float32)
    vectors = rng.integers(-2, 3, (12, 6)).astype(np.float32)
    ((_, scores),) = Gallery(vectors).score_blocks(queries)
    ((_, scaled),) = Gallery((vectors * factor).astype(np.float32)).score_blocks((queries * factor).astype(np.float32))
    shuffled = rng.permutation(12)
    ((_, moved),) = Gallery(vectors[shuffled]).score_blocks(queries)
    assert np.array_equal(moved, scores[:, shuffled])
    assert np.allclose(scaled, scores, rtol=1e-6, atol=1e-7)
    more = np.concatenate([vectors, rng.integers(-2, 3, (5, 6)).astype(np.float32)])
    ((_, longer),) = Gallery(more).score_blocks(queries)
    assert np.array_equal(longer[:, :12], scores)
