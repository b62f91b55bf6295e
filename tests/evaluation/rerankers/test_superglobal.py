"""SuperGlobal's reranking against loops over its formula, and its traps one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.rerankers import superglobal


def units(seed, count, dimensions, dtype=np.float64):
    x = np.random.default_rng(seed).normal(size=(count, dimensions)) + 0.5
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(dtype)


def plain(query, gallery, top, neighbours, beta):
    """The formula with Python's own sorting, indices of the gallery throughout."""
    ranking = sorted(range(len(gallery)), key=lambda j: (-(gallery[j] @ query), j))
    candidates = ranking[:top]
    refined = {}
    for i in candidates:
        others = sorted((j for j in candidates if j != i), key=lambda j: (-(gallery[i] @ gallery[j]), j))[:neighbours]
        weights = [1.0] + [beta * (gallery[i] @ gallery[j]) for j in others]
        rows = [gallery[i]] + [gallery[j] for j in others]
        refined[i] = sum(w * x for w, x in zip(weights, rows, strict=True)) / sum(weights)
    first = {i: refined[i] @ query for i in candidates}
    best = sorted(candidates, key=lambda i: (-first[i], i))[: neighbours + 1]
    expanded = np.max([refined[i] for i in best], axis=0)
    final = {i: (first[i] + expanded @ refined[i]) / 2 for i in candidates}
    return sorted(candidates, key=lambda i: (-final[i], i)) + ranking[top:]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.integers(1, 40),
    st.integers(0, 12),
    st.floats(0, 1),
)
@settings(max_examples=100, deadline=None)
def test_it_is_the_formula(seed, count, top, neighbours, beta):
    gallery, query = units(seed, count, 6), units(seed + 1, 1, 6)[0]
    result = superglobal(query, gallery, top=top, neighbours=neighbours, beta=beta)
    assert result.dtype == np.int64
    assert result.tolist() == plain(query, gallery, top, neighbours, beta)


def test_the_published_constants_are_the_defaults():
    gallery, query = units(1, 450, 16), units(2, 1, 16)[0]
    result = superglobal(query, gallery)
    assert result.tolist() == plain(query, gallery, 400, 9, 0.15)
    start = np.argsort(-(gallery @ query), kind="stable")
    assert result[400:].tolist() == start[400:].tolist(), "what lies behind the top keeps its order"
    assert sorted(result[:400]) == sorted(start[:400])
    assert result[:400].tolist() != start[:400].tolist()


def test_a_top_beyond_the_gallery_is_cut():
    gallery, query = units(3, 7, 5), units(4, 1, 5)[0]
    cut = superglobal(query, gallery, top=7, neighbours=9, beta=0.15)
    assert superglobal(query, gallery, top=400, neighbours=9, beta=0.15).tolist() == cut.tolist()
    assert sorted(cut) == list(range(7))
    assert superglobal(query, gallery[:1]).tolist() == [0]
    assert superglobal(query, gallery[:0]).tolist() == []


def test_two_candidates_by_hand():
    # x0 = (1, 0), x1 = (0.6, 0.8), their product 0.6; beta 0.5: w = 0.3. q = (0.8, 0.6).
    # x'0 = (1.18, 0.24) / 1.3, x'1 = (0.9, 0.8) / 1.3; S1 = 1.088 / 1.3 and 1.2 / 1.3.
    # One neighbour: both are in the maximum, q' = (1.18, 0.8) / 1.3; S2 = 1.5844 / 1.69 and 1.702 / 1.69.
    gallery, query = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([0.8, 0.6])
    assert superglobal(query, gallery, top=2, neighbours=1, beta=0.5).tolist() == [1, 0]
    # With a query at (1, 0): S1 = 1.18 and 0.9 (over 1.3), S2 unchanged, means over 1.69: 1.559 and 1.436.
    assert superglobal([1.0, 0.0], gallery, top=2, neighbours=1, beta=0.5).tolist() == [0, 1]


def variants(query, gallery, top, neighbours, beta):
    """The order under each misreading of the released code."""
    order = np.argsort(-(gallery @ query), kind="stable")
    x = gallery[order[:top]]
    similarities = x @ x.T

    def refine(count, normalised=False, own=1.0):
        near = np.argsort(-similarities, axis=1, kind="stable")[:, : count + 1]
        weights = beta * np.take_along_axis(similarities, near, axis=1)
        weights[:, 0] = own
        result = (weights[:, :, None] * x[near]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        return result / np.linalg.norm(result, axis=1, keepdims=True) if normalised else result

    def finish(refined, with_query=False, count=neighbours + 1, factor=1.0, mean=True):
        first = refined @ query
        best = np.argsort(-first, kind="stable")[:count]
        rows = refined[best]
        expanded = np.max(np.vstack([rows, query[None]]) if with_query else rows, axis=0)
        if factor != 1.0:
            first = first.copy()
            first[best] *= factor
        second = refined @ expanded
        final = (first + second) / 2 if mean else second
        return order[:top][np.argsort(-final, kind="stable")].tolist() + order[top:].tolist()

    right = refine(neighbours)
    return finish(right), {
        "neighbours_include_itself": finish(refine(neighbours - 1)),
        "renormalised": finish(refine(neighbours, normalised=True)),
        "itself_weighs_beta": finish(refine(neighbours, own=beta)),
        "query_in_the_maximum": finish(right, with_query=True),
        "maximum_over_neighbours": finish(right, count=neighbours),
        "beta_on_the_top_values": finish(right, factor=beta),
        "second_score_alone": finish(right, mean=False),
    }


def test_each_misreading_gives_another_order():
    gallery, query = units(11, 60, 8), units(12, 1, 8)[0]
    result = superglobal(query, gallery, top=40, neighbours=5, beta=0.4).tolist()
    right, wrong = variants(query, gallery, 40, 5, 0.4)
    assert result == right
    assert [name for name, order in wrong.items() if order == result] == []


@given(st.lists(st.integers(0, 3), min_size=2, max_size=14), st.integers(1, 14), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_equal_images_keep_their_order(kinds, top, neighbours):
    shapes = units(21, 4, 7, np.float32)
    gallery, query = shapes[kinds], units(22, 1, 7, np.float32)[0]
    result = superglobal(query, gallery, top=top, neighbours=neighbours, beta=0.15).tolist()
    assert sorted(result) == list(range(len(kinds)))
    place = {index: rank for rank, index in enumerate(result)}
    start = sorted(range(len(kinds)), key=lambda j: (-round(float(shapes[kinds[j]] @ query), 5), j))
    inside = set(start[:top])
    # With as many neighbours as candidates, or none, equal images have equal scores.
    if neighbours == 0 or neighbours >= min(top, len(kinds)) - 1:
        for i in range(len(kinds)):
            for j in range(i + 1, len(kinds)):
                if kinds[i] == kinds[j] and (i in inside) == (j in inside):
                    assert place[i] < place[j]


def test_no_neighbours_are_an_expansion_by_the_first():
    gallery, query = units(31, 9, 4), units(32, 1, 4)[0]
    first = gallery @ query
    final = (first + gallery @ gallery[np.argmax(first)]) / 2
    assert superglobal(query, gallery, neighbours=0).tolist() == np.argsort(-final).tolist()


def test_weights_that_sum_to_zero_leave_the_image_as_it_is():
    gallery = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert superglobal([0.6, 0.8], gallery, top=2, neighbours=1, beta=1.0).tolist() == [0, 1]


def test_float32_galleries_rank_as_float64_ones():
    gallery, query = units(41, 300, 32, np.float32), units(42, 1, 32, np.float32)[0]
    same = superglobal(query.astype(np.float64), gallery.astype(np.float64), top=100)
    assert superglobal(query, gallery, top=100).tolist() == same.tolist()


def test_what_does_not_fit_is_refused():
    gallery = units(1, 4, 3)
    with pytest.raises(ValueError, match="d and m × d"):
        superglobal(np.ones(4), gallery)
    with pytest.raises(ValueError, match="query has shape"):
        superglobal(np.ones((1, 3)), gallery)
    with pytest.raises(ValueError, match="top is 0"):
        superglobal(gallery[0], gallery, top=0)
    with pytest.raises(ValueError, match="neighbours -1"):
        superglobal(gallery[0], gallery, neighbours=-1)
    gallery[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"NaN or infinite, first at \(2, 1\)"):
        superglobal(gallery[0], gallery)
