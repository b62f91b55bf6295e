"""Proposals of faiss end in the very order that all scores give."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation import nearest as module
from evaluation.nearest import nearest
from evaluation.ranking import Gallery, first_k


def _expected(gallery, queries, k, excluded):
    found = []
    for start, block in gallery.score_blocks(queries):
        for number, scores in enumerate(block, start):
            scores[excluded[number]] = -np.inf
            found.append(first_k(scores, k).tolist())
    return found


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("levels", [None, 3])
def test_as_all_scores_order_them(monkeypatch, similarity, levels):
    """Random vectors, and small whole numbers of which many tie, also at the end of the list."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(module, "LARGE", 1)
    monkeypatch.setattr(module, "_BLOCK", 300)
    monkeypatch.setattr(module, "_MARGIN", 5)
    rng = np.random.default_rng(0)

    def vectors(count):
        return (rng.standard_normal((count, 6)) if levels is None else rng.integers(0, levels, (count, 6))).astype("f4")

    gallery, queries = Gallery(vectors(1000), rng.permutation(1000), similarity), vectors(40)
    excluded = [rng.integers(0, 1000, number % 3) for number in range(40)]
    found = [one.tolist() for one in nearest(gallery, queries, 20, excluded)]
    assert found == _expected(gallery, queries, 20, excluded)
    proved = module._proposed(gallery, queries, 20, excluded)
    if levels is None:
        assert all(one is not None for one in proved), "random vectors need no second look"
    else:
        assert any(one is None for one in proved), "ties at the end cannot be proved"


def test_more_than_there_are():
    gallery = Gallery(np.eye(3, dtype=np.float32))
    (found,) = nearest(gallery, np.array([[0.1, 0.3, 0.2]], np.float32), 10)
    assert found.tolist() == [1, 2, 0]
