"""Queries composed turn by turn."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.composed_queries import Weights
from evaluation.composers import slerp
from evaluation.embeddings import Embeddings
from evaluation.turns import compose_turns
from schemas.errors import ConfigurationError


def _embeddings(ids, halves=("image only", "text only")):
    rng = np.random.default_rng(0)
    vectors = {name: rng.standard_normal((len(ids), 4)).astype(np.float32) for name in ("image only", "text only")}
    gallery = rng.standard_normal((3, 4)).astype(np.float32)
    queries = np.zeros((len(ids), 4), np.float32)
    return Embeddings(tuple(ids), queries, ("x", "y", "z"), gallery, {name: vectors[name] for name in halves})


def test_each_turn_starts_from_the_query_before():
    """Turns stand in any order; the image half of later ones is not looked at."""
    ids = ["a/3", "b/1", "a/1", "a/2"]
    given = _embeddings(ids)
    found, similarity = compose_turns(given, "slerp", Weights(alpha=0.8), "cosine")
    image, text = given.controls["image only"], given.controls["text only"]
    query = image[2:3]
    for row in (2, 3, 0):
        query = slerp(query, text[row : row + 1], 0.8).astype(np.float32)
        np.testing.assert_allclose(found.queries[row], query[0], rtol=1e-6)
    np.testing.assert_allclose(found.queries[1], slerp(image[1:2], text[1:2], 0.8)[0], rtol=1e-6)
    assert similarity == "cosine"
    assert found.query_ids == tuple(ids)
    assert not given.queries.any(), "what was given is left alone"


@pytest.mark.parametrize("ids", [["a/2"], ["a"], ["a/0"], ["a/1", "a/3"], ["a/01"], ["1"]])
def test_ids_that_are_no_turns(ids):
    with pytest.raises(ConfigurationError, match="ids CHAIN/TURN"):
        compose_turns(_embeddings(ids), "slerp", Weights(alpha=0.5), None)


def test_composers_that_do_not_fold_and_halves_that_are_not_there():
    with pytest.raises(ConfigurationError, match="weimocir does not fold"):
        compose_turns(_embeddings(["a/1"]), "weimocir", Weights(), None)
    with pytest.raises(ConfigurationError, match="needs the array query_text_embeddings"):
        compose_turns(_embeddings(["a/1"], ["image only"]), "slerp", Weights(alpha=0.5), None)
