import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mining.scores.hubness import HubConfig, hubness, hubs, k_occurrences, skewness


def test_occurrences_count_lists_of_others():
    ids = np.array(["c", "a", "b"])
    rows = np.array([["a", "b"], ["a", "c"], ["c", "b"], ["b", "b"], ["a", "b"], ["b", "other"]])
    assert k_occurrences(ids, rows).tolist() == [1, 0, 2]


def test_nothing_counts_nothing():
    assert k_occurrences(np.array(["a"]), np.zeros((0, 2), "U1")).tolist() == [0]
    assert k_occurrences(np.zeros(0, np.int64), np.array([[1, 2]])).tolist() == []
    assert k_occurrences(np.array([1]), np.array([[1, 1]])).tolist() == [0]
    assert hubs(np.zeros(0, np.int64), 0, HubConfig()).tolist() == []
    assert skewness(np.zeros(0, np.int64)) == 0.0


def test_repeated_ids_are_refused():
    with pytest.raises(ValueError, match="distinct"):
        k_occurrences(np.array([1, 1]), np.array([[1, 2]]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=40), st.randoms())
def test_occurrences_are_those_of_a_plain_loop_in_any_order(rows, random):
    ids = list(range(7))
    random.shuffle(ids)
    expected = [len({one for one, other in rows if other == image and one != image}) for image in ids]
    found = k_occurrences(np.array(ids), np.array(rows, np.int64).reshape(-1, 2))
    assert found.tolist() == expected


def neighbours(vectors, k):
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    nearest = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return np.stack([np.repeat(np.arange(len(vectors)), k), nearest.ravel()], axis=1)


def test_a_planted_hub_is_found_and_nothing_else():
    generator = np.random.default_rng(7)
    vectors = generator.normal(size=(600, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # A vector near everything: what an image made for it would have.
    vectors[17] = 0.0
    vectors = np.hstack([vectors, np.full((600, 1), 1.0)])
    vectors[17, -1] = 3.0
    occurrences = k_occurrences(np.arange(600), neighbours(vectors, 10))
    assert occurrences.sum() == 6000
    assert occurrences[17] == 599
    assert np.flatnonzero(hubs(occurrences, 600, HubConfig())).tolist() == [17]
    assert skewness(occurrences) > 5
    assert int(np.argmax(hubness(occurrences))) == 17


def test_small_crawls_and_equal_counts_have_no_hubs():
    few = np.array([9, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    assert not hubs(few, 10, HubConfig()).any()
    assert hubs(few, 10, HubConfig(least=5)).tolist() == [True] + [False] * 9
    assert not hubs(np.full(10, 60), 100, HubConfig()).any()
    assert hubs(np.array([60] * 9 + [250]), 100, HubConfig()).tolist() == [False] * 9 + [True]
    assert hubness(np.full(3, 4)).tolist() == [0.0, 0.0, 0.0]


def test_scores_have_known_moments():
    occurrences = np.array([0, 0, 0, 4])
    assert skewness(occurrences) == 1.1547
    assert hubness(occurrences).tolist() == [-0.5774, -0.5774, -0.5774, 1.7321]


@pytest.mark.parametrize("setting", [{"deviations": 0}, {"share": 2}, {"least": 0}, {"other": 1}])
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ValidationError):
        HubConfig(**setting)
