"""Bias towards generated images, by hand and by its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.probes import generated_bias


def test_by_hand():
    # Query 0 ranks: generated 1 (relevant), real 0 (relevant), real 2. AP of the real copy 1/2, of the generated 1.
    # Query 1 ranks: real 2, real 3 (relevant), generated 4 (relevant): AP 1/2 and 1/3.
    scores = [[0.8, 0.9, 0.1, 0.0, 0.0], [0.0, 0.1, 0.9, 0.8, 0.7]]
    result = generated_bias(scores, [[0, 1], [3, 4]], [False, True, False, False, True])
    assert math.isclose(result.real, 50)
    assert math.isclose(result.generated, 100 * (1 + 1 / 3) / 2)
    assert math.isclose(result.delta, 100 / 6)
    assert math.isclose(result.relative, 100 * (100 / 6) / ((50 + 200 / 3) / 2))
    assert result.preference == 50, "one pair each way"
    assert result.queries == (0, 1)
    assert np.allclose(result.differences, [50, 100 / 3 - 50])
    assert result.left_out == 0


def test_several_copies_by_hand():
    # Ranking: g r g r x. Real at 2 and 4: (1/2 + 2/4) / 2; generated at 1 and 3: (1 + 2/3) / 2. Three pairs of four.
    result = generated_bias([[0.9, 0.8, 0.7, 0.6, 0.5]], [[0, 1, 2, 3]], np.array([1, 0, 1, 0, 0]))
    assert math.isclose(result.real, 50)
    assert math.isclose(result.generated, 100 * 5 / 6)
    assert result.preference == 75


def test_queries_without_both_kinds_are_left_out_and_counted():
    result = generated_bias([[1, 0.5], [1, 0.5], [1, 0.5]], [[0, 1], [0], []], [True, False])
    assert (result.queries, result.left_out) == ((0,), 2)
    with pytest.raises(ValueError, match="no query"):
        generated_bias([[1, 0.5]], [[0]], [True, False])


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_flags_turned_around_turn_the_bias(seed, queries, copies):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.linspace(0, 1, 2 * copies + 3), (queries, 1)), axis=1)
    flags = np.array([False, True] * copies + [True, False, True])
    relevant = [list(range(2 * copies))] * queries
    one, other = generated_bias(scores, relevant, flags), generated_bias(scores, relevant, ~flags)
    assert math.isclose(one.delta, -other.delta, abs_tol=1e-9)
    assert math.isclose(one.relative, -other.relative, abs_tol=1e-9)
    assert math.isclose(one.preference, 100 - other.preference, abs_tol=1e-9)
    assert math.isclose(one.delta, np.mean(one.differences), abs_tol=1e-9)
    raised = generated_bias(scores + 5 * flags, relevant, flags)
    assert raised.preference == 100
    assert raised.delta >= one.delta - 1e-9


def test_equal_scores_prefer_neither():
    assert generated_bias([[0.5, 0.5]], [[0, 1]], [True, False]).preference == 50


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="n × m, m and n"):
        generated_bias([[1, 2]], [[0, 1]], [True])
    with pytest.raises(ValueError, match="other values than true and false"):
        generated_bias([[1, 2]], [[0, 1]], [0, 2])
    with pytest.raises(ValueError, match="names the image 2"):
        generated_bias([[1, 2]], [[0, 2]], [True, False])
    with pytest.raises(ValueError, match="query 1 hold"):
        generated_bias([[1, 2], [1, math.nan]], [[0, 1], [0, 1]], [True, False])
