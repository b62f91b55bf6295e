"""Exact and approximate indexes over parts of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mining.miners.interface import Neighbours
from mining.search.index import (
    IndexPlan,
    PartSearch,
    choose_probes,
    fill,
    merge,
    nearest_cells,
    plan_index,
    recall,
    train,
)
from mining.search.vectors import VIEWS, ImageColumns, ViewVectors, view_vectors, whole
from mining.sketches import sketches

K = 50
NO_TEXTS = np.zeros((0, 0), np.float32)


def corpus(count: int, clusters: int, size: int = 64, seed: int = 5) -> ImageColumns:
    """Images in clusters of very different sizes, as crawls have them; many share a hash, a text or all features."""
    chance = np.random.default_rng(seed)
    own = chance.zipf(1.3, count) % clusters
    features = chance.normal(size=(clusters, size))[own] + chance.normal(size=(count, size)) * 0.7
    features[: count // 40] = features[0]
    texts = np.round(features[:, :24], 0)
    texts = (texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    hashes = chance.integers(0, 1 << 63, clusters, dtype=np.uint64)[own] ^ (
        np.uint64(1) << chance.integers(0, 3, count, dtype=np.uint64)
    )
    ids = [f"{number * 7919 % 1000003:064x}" for number in range(count)]
    order = np.argsort(ids)
    return ImageColumns(
        [ids[one] for one in order],
        sketches(features.astype(np.float32))[order],
        hashes[order],
        sorted(ids),
        texts[order],
        captions=sketches(np.ascontiguousarray(texts[order][:, ::-1])),
    )


def brute(vectors: ViewVectors, row: int, k: int) -> Neighbours:
    """The k nearest by exact scores, ties by id."""
    scores = vectors.scores(np.array([row]), vectors, np.arange(len(vectors.ids))[None, :])[0]
    order = [one for one in np.lexsort((np.arange(len(scores)), -scores)).tolist() if one != row][:k]
    return Neighbours(tuple(vectors.ids[one] for one in order), tuple(scores[order].tolist()))


def parts(vectors: ViewVectors, count: int) -> list[ViewVectors]:
    return [vectors.take(range(one, len(vectors.ids), count)) for one in range(count)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("k", [1, K, 140])
def test_exact_lists_equal_brute_force_with_ties_by_id_whatever_the_parts(view: str, k: int) -> None:
    vectors = view_vectors(view, corpus(1500, 40))
    lists = PartSearch(vectors).search(vectors, k)
    for row in range(0, len(vectors.ids), 11):
        assert lists[row] == brute(vectors, row, k)
    for count in (2, 7):
        found = [PartSearch(part).search(vectors, k) for part in parts(vectors, count)]
        assert [merge(near, k) for near in zip(*found, strict=True)] == lists


def listed(columns: tuple[np.ndarray, ...], ids: Sequence[str]) -> list[Neighbours]:
    lengths, places, scores = columns
    ends = np.cumsum(lengths)
    names = [ids[place] for place in places.tolist()]
    return [
        Neighbours(tuple(names[end - size : end]), tuple(scores[end - size : end].tolist()))
        for end, size in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("bound", [0.75, 0.9, 1.0])
def test_all_within_a_bound_are_those_of_brute_force_whatever_the_parts(view: str, bound: float) -> None:
    vectors = view_vectors(view, corpus(1200, 40))
    found = listed(PartSearch(vectors).near(vectors, bound), vectors.ids)
    for row in range(0, len(vectors.ids), 7):
        every = brute(vectors, row, len(vectors.ids))
        count = sum(score >= bound for score in every.scores)
        assert found[row] == Neighbours(every.ids[:count], every.scores[:count])
    pairs = {(one, other) for one, near in zip(vectors.ids, found, strict=True) for other in near.ids}
    assert pairs
    assert pairs == {(other, one) for one, other in pairs}
    trained = train(vectors.search, IndexPlan(16))
    assert listed(PartSearch(vectors, fill(trained, vectors), 16).near(vectors, bound), vectors.ids) == found
    for stored in (lambda part: None, lambda part: fill(trained, part)):
        whole_ = listed(PartSearch(vectors, stored(vectors), 2).near(vectors, bound), vectors.ids)
        lists = [listed(PartSearch(part, stored(part), 2).near(vectors, bound), part.ids) for part in parts(vectors, 3)]
        assert [merge(near, len(vectors.ids)) for near in zip(*lists, strict=True)] == whole_


def test_a_score_that_is_the_bound_is_within_it() -> None:
    vectors = view_vectors("image", corpus(400, 5))
    scores = PartSearch(vectors).near(vectors, 0.5)[2]
    for bound in np.unique(scores)[::50].tolist():
        assert PartSearch(vectors).near(vectors, bound)[2].min() == bound
        assert (scores >= bound).sum() == len(PartSearch(vectors).near(vectors, bound)[2])


def test_where_all_images_are_equal_ids_decide() -> None:
    ids = [f"{number:064x}" for number in range(400)]
    same = ImageColumns(ids, np.ones((400, 8), np.int8), np.zeros(400, np.uint64), [], NO_TEXTS)
    for view in ("image", "pattern"):
        vectors = view_vectors(view, same)
        lists = PartSearch(vectors).search(vectors, 20)
        assert lists[399] == Neighbours(tuple(ids[:20]), (1.0,) * 20)
        assert lists[3].ids == (*ids[:3], *ids[4:21])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("view", VIEWS)
def test_approximate_lists_find_enough_and_do_not_depend_on_the_parts(view: str) -> None:
    vectors = view_vectors(view, corpus(20_000, 1000, 32))
    plan = plan_index(20_000, 1000, 0.97)
    sample = vectors.take(range(0, 20_000, 3))
    trained = train(sample.search, plan)
    assert trained == train(sample.search, plan)
    probes = choose_probes(trained, sample, K, plan.aim)
    queries = vectors.take(range(0, 20_000, 40))
    lists = PartSearch(vectors, fill(trained, vectors), probes).search(queries, K)
    assert recall(lists, PartSearch(vectors).search(queries, K)) >= 0.95
    for count in (2, 5):
        found = [PartSearch(part, fill(trained, part), probes).search(queries, K) for part in parts(vectors, count)]
        assert [merge(near, K) for near in zip(*found, strict=True)] == lists


def test_lists_do_not_depend_on_which_images_are_searched_together() -> None:
    vectors = view_vectors("image", corpus(1500, 40))
    trained = train(vectors.search, IndexPlan(32))
    for search in (PartSearch(vectors), PartSearch(vectors, fill(trained, vectors), 4)):
        together = search.search(vectors, K)
        assert [search.search(vectors.take([row]), K)[0] for row in range(0, 1500, 50)] == together[::50]


def test_all_cells_find_what_an_exact_search_finds() -> None:
    vectors = view_vectors("image", corpus(1500, 40))
    trained = train(vectors.search, IndexPlan(32))
    assert PartSearch(vectors, fill(trained, vectors), 32).search(vectors, K) == PartSearch(vectors).search(vectors, K)


def test_cells_are_the_nearest_and_ties_go_by_number() -> None:
    centroids = whole(np.array([[1, 0], [0, 1], [1, 0], [-1, 0]], np.float32))
    vectors = np.array([[1, 0], [0, -1], [0.6, 0.8]], np.float32)
    assert nearest_cells(centroids, vectors, 2).tolist() == [[0, 2], [0, 2], [1, 0]]
    assert nearest_cells(centroids, vectors, 4)[0].tolist() == [0, 2, 1, 3]


def test_a_small_corpus_is_searched_exactly_and_a_large_one_in_cells() -> None:
    assert plan_index(1000, 1000, 0.97).exact
    assert plan_index(20_000, 1000, 0.97) == IndexPlan(512, 0.97)
    # Additions train no other index while the corpus keeps its order of size.
    assert plan_index(22_000, 1000, 0.97) == plan_index(20_000, 1000, 0.97)


def test_a_sample_smaller_than_the_cells_trains_as_many_cells_as_it_has() -> None:
    vectors = view_vectors("image", corpus(30, 5))
    trained = train(vectors.search, IndexPlan(256))
    assert choose_probes(trained, vectors, 5, 1.0) <= 30
    assert PartSearch(vectors, fill(trained, vectors), 30).search(vectors, 5) == PartSearch(vectors).search(vectors, 5)


def test_parts_without_images_and_lists_of_nothing() -> None:
    vectors = view_vectors("image", corpus(30, 5))
    nobody = view_vectors("image", ImageColumns([], np.zeros((0, 0), np.int8), np.zeros(0, np.uint64), [], NO_TEXTS))
    assert PartSearch(nobody).search(vectors, 3) == [Neighbours((), ())] * 30
    assert PartSearch(vectors).search(nobody, 3) == []
    assert [len(one) for one in PartSearch(nobody).near(vectors, 0.5)] == [30, 0, 0]
    assert [len(one) for one in PartSearch(vectors).near(nobody, 0.5)] == [0, 0, 0]
    assert PartSearch(vectors).search(vectors, 0) == [Neighbours((), ())] * 30
    assert [len(one.ids) for one in PartSearch(vectors.take([0, 1])).search(vectors, 9)] == [1, 1] + [2] * 28
    trained = train(vectors.search, IndexPlan(4))
    nobody = vectors.take([])
    assert not PartSearch(nobody, fill(trained, nobody), 2).near(vectors, 0.5)[0].any()
    assert PartSearch(nobody, fill(trained, nobody), 2).search(vectors, 3) == [Neighbours((), ())] * 30


def test_recall_counts_equal_scores_as_found() -> None:
    best = [Neighbours(("a", "b"), (0.9, 0.8))]
    assert recall([Neighbours(("a", "c"), (0.9, 0.8))], best) == 1.0
    assert recall([Neighbours(("a", "c"), (0.9, 0.7))], best) == 0.5
    assert recall([Neighbours((), ())], best) == 0.0
    assert recall([], []) == 1.0
