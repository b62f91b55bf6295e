"""Clauses of instructions, and ranking by them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.rerankers import Clause, combine_clauses, rerank_by_clauses, split_clauses


@pytest.mark.parametrize(
    ("instruction", "clauses"),
    [
        ("is red and has long sleeves, but without a collar", ["is red", "has long sleeves", "-a collar"]),
        ("shorter black and white dress", ["shorter black and white dress"]),
        ("a long, red dress", ["a long, red dress"]),
        ("Remove the hat. Add a dog behind the man; zoom in", ["-the hat", "Add a dog behind the man", "zoom in"]),
        ("has no more than two dogs", ["has no more than two dogs"]),
        ("not only red but longer", ["not only red", "longer"]),
        ("the sky is no longer blue", ["-the sky is blue"]),
        ("The dog doesn't have a collar", ["-The dog with a collar"]),
        ("it isn't striped and is more formal", ["-striped", "is more formal"]),
        ("are no more dogs", ["-dogs"]),
        ("a fence of 3.5 m", ["a fence of 3.5 m"]),
        ("is red. Is red", ["is red", "Is red"]),
        ("is red, is red", ["is red"]),
        ("put it in snow, then make it night", ["put it in snow", "make it night"]),
        (" ,.; ", []),
        ("", []),
    ],
)
def test_clauses(instruction, clauses):
    found = [("-" if one.negated else "") + one.text for one in split_clauses(instruction)]
    assert found == clauses


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_clauses_of_any_text_are_distinct_and_not_empty(text):
    clauses = split_clauses(text)
    assert len(set(clauses)) == len(clauses)
    assert all(clause.text.strip() for clause in clauses)


def test_combination_by_hand():
    # Three candidates: standardised (3, 2, 1) is (r, 0, -r) with r = sqrt(3 / 2).
    r = math.sqrt(1.5)
    whole, parts = [3.0, 2.0, 1.0], [[1.0, 2.0, 3.0], [10.0, 20.0, 0.0]]
    assert np.allclose(combine_clauses(whole, parts, [False, False], weight=0), [r, 0, -r])
    assert np.allclose(combine_clauses(whole, parts, [False, False], weight=1), [-r / 2, r / 2, 0])
    assert np.allclose(combine_clauses(whole, parts, [True, False], weight=1), [r / 2, r / 2, -r])
    lowest = combine_clauses(whole, parts, [False, False], weight=1, combination="minimum")
    assert np.allclose(lowest, [-r, 0, -r])
    assert np.allclose(combine_clauses(whole, parts, [False, True], weight=0.5), [r / 4, -r / 4, 0])


def test_a_part_that_tells_nothing_apart_adds_nothing():
    assert combine_clauses([1.0, 2.0], [[0.1, 0.1]], [False], weight=1).tolist() == [0, 0]


@given(arrays(np.float64, (3, 5), elements=st.floats(-1, 1, width=16)), st.floats(0.5, 4), st.floats(-3, 3))
@settings(max_examples=60, deadline=None)
def test_ranges_of_scores_do_not_matter(scores, factor, offset):
    one = combine_clauses(scores[0], scores[1:], [False, True])
    other = combine_clauses(scores[0], scores[1:] * factor + offset, [False, True])
    assert np.allclose(one, other, atol=1e-6)


def test_the_best_are_ranked_anew_and_the_rest_stays():
    # What each image shows; the whole text alone cannot tell a hat from no hat.
    shows = [{"red", "hat"}, {"red"}, {"blue"}, {"blue", "hat"}, {"red"}]
    whole = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    asked = []

    def score(texts, candidates):
        asked.append((list(texts), candidates.tolist()))
        return [[sum(word in shows[j] for word in text.split()) for j in candidates] for text in texts]

    result = rerank_by_clauses("is red and has no hat", whole, score, top=4, weight=0.8)
    assert asked == [(["is red", "hat"], [0, 1, 2, 3])]
    assert result.clauses == (Clause("is red", False), Clause("hat", True))
    assert result.ranking.tolist() == [1, 0, 2, 3, 4]
    assert result.ranking.dtype == np.int64
    assert result.changed


def test_one_plain_clause_asks_nothing():
    def score(texts, candidates):
        raise AssertionError("nothing to ask")

    result = rerank_by_clauses("is red", [0.1, 0.3, 0.2], score)
    assert (result.ranking.tolist(), result.changed) == ([1, 2, 0], False)
    assert rerank_by_clauses("is red. is big", [], score).ranking.tolist() == []


def test_a_ranking_without_the_reference_is_kept_to():
    def score(texts, candidates):
        return np.tile(candidates, (len(texts), 1))

    result = rerank_by_clauses("is red; is big", [9.0, 3.0, 2.0, 1.0], score, top=2, weight=1, ranking=[1, 2, 3])
    assert result.ranking.tolist() == [2, 1, 3]


def test_equal_scores_keep_their_order():
    result = rerank_by_clauses("is red; is big", [0.5] * 4, lambda texts, places: np.ones((2, 4)))
    assert (result.ranking.tolist(), result.changed) == ([0, 1, 2, 3], False)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="k, p × k, p"):
        combine_clauses([1.0, 2.0], [[1.0, 2.0]], [True, False])
    with pytest.raises(ValueError, match="parts holds"):
        rerank_by_clauses("is red; is big", [1.0, 2.0], lambda texts, places: [[math.nan, 1], [1, 1]])
    with pytest.raises(ValueError, match="top is 0"):
        rerank_by_clauses("is red; is big", [1.0], lambda texts, places: [[1], [1]], top=0)
    for ranking, message in (([0, 0], "twice"), ([0, 2], "outside"), ([0.5], "integers")):
        with pytest.raises(ValueError, match=message):
            rerank_by_clauses("is red", [1.0, 2.0], lambda texts, places: [], ranking=ranking)
