"""Properties of scored results, whatever the benchmark: order, scale, irrelevant images, bounds; the result file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.embeddings import Embeddings
from evaluation.metrics import average_precision, found_within, trapezoid_average_precision, voc_average_precision
from evaluation.result import queries_path, read_result, write_result
from evaluation.score import evaluate, match, retrieved
from evaluation.task import Part, Task
from schemas.errors import ConfigurationError

SIZE = 10
CASES = st.tuples(
    st.integers(0, 2**32 - 1),
    st.lists(st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=4), min_size=1, max_size=4),
)


def _ids(kind, count):
    return tuple(f"{kind}{number}" for number in range(count))


def _measure(number, places):
    count = len(places.items)
    return {
        "AP": average_precision(places.ranks, count),
        "AP@3": average_precision(places.ranks, count, 3),
        "VOC": voc_average_precision(places.ranks, count),
        "area": trapezoid_average_precision(places.ranks, count),
    }


def _task(relevant, size=SIZE, excluded=None):
    arrays = [np.array(sorted(one), np.int64) for one in relevant]
    part = Part("all", _ids("q", len(relevant)), _ids("g", size), arrays, measure=_measure, excluded=excluded)
    return Task("made", "official", "test", (part,))


def _whole_numbers(seed, queries, size=SIZE):
    """Small whole numbers: many scores tie."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-1, 2, (size, 5)).astype(np.float32)
    return Embeddings(
        _ids("q", queries), rng.integers(-1, 2, (queries, 5)).astype(np.float32), _ids("g", size), vectors
    )


@settings(deadline=None, max_examples=60)
@given(CASES)
def test_the_order_of_the_file_changes_nothing(case):
    seed, relevant = case
    found, embeddings = _task(relevant), _whole_numbers(seed, len(relevant))
    rng = np.random.default_rng(seed + 1)
    rows, asked = rng.permutation(SIZE), rng.permutation(len(relevant))
    moved = Embeddings(
        tuple(embeddings.query_ids[one] for one in asked),
        embeddings.queries[asked],
        tuple(embeddings.gallery_ids[one] for one in rows),
        embeddings.gallery[rows],
    )
    one, other = evaluate(found, embeddings), evaluate(found, moved)
    assert one.metrics == other.metrics
    assert one.bounds == other.bounds


@settings(deadline=None, max_examples=60)
@given(CASES, st.integers(1, 5))
def test_irrelevant_images_at_the_end_never_help_and_far_ones_change_nothing(case, more):
    seed, relevant = case
    embeddings = _whole_numbers(seed, len(relevant))
    before = evaluate(_task(relevant), embeddings)
    longer = _task(relevant, SIZE + more)
    added = np.random.default_rng(seed + 2).integers(-1, 2, (more, 5)).astype(np.float32)
    after = evaluate(
        longer,
        Embeddings(
            embeddings.query_ids,
            embeddings.queries,
            _ids("g", SIZE + more),
            np.concatenate([embeddings.gallery, added]),
        ),
    )
    wide = [np.pad(one, ((0, 0), (0, 1))) for one in (embeddings.queries, embeddings.gallery)]
    far = np.zeros((more, 6), np.float32)
    wide[0][:, 5], far[:, 5] = 9.0, -9.0
    apart = evaluate(
        longer, Embeddings(embeddings.query_ids, wide[0], _ids("g", SIZE + more), np.concatenate([wide[1], far]))
    )
    for name, value in before.metrics.items():
        assert after.metrics[name] <= value + 1e-9
        assert after.bounds[name][1] <= before.bounds[name][1] + 1e-9
        assert apart.metrics[name] == pytest.approx(value)
        assert apart.bounds[name] == pytest.approx(before.bounds[name])


@settings(deadline=None, max_examples=60)
@given(CASES, st.sampled_from([0.001, 7.0, 1e6]))
def test_scale_changes_nothing(case, factor):
    seed, relevant = case
    rng = np.random.default_rng(seed)
    made = Embeddings(
        _ids("q", len(relevant)),
        rng.standard_normal((len(relevant), 8)).astype(np.float32),
        _ids("g", SIZE),
        rng.standard_normal((SIZE, 8)).astype(np.float32),
    )
    lengths = rng.uniform(0.5, 2, (SIZE, 1)).astype(np.float32)
    scaled = Embeddings(
        made.query_ids, (made.queries * factor).astype(np.float32), made.gallery_ids, made.gallery * lengths
    )
    assert evaluate(_task(relevant), made).metrics == pytest.approx(evaluate(_task(relevant), scaled).metrics)


@settings(deadline=None, max_examples=60)
@given(CASES)
def test_bounds_enclose_the_value(case):
    seed, relevant = case
    found = evaluate(_task(relevant), _whole_numbers(seed, len(relevant)))
    for name, value in found.metrics.items():
        low, high = found.bounds[name]
        assert low - 1e-9 <= value <= high + 1e-9


def test_what_is_taken_out_is_no_longer_ranked():
    """g0 leads; without it g1 is first. A target that is taken out itself is never found first."""
    embeddings = Embeddings(("q0",), np.array([[3, 2, 1]], np.float32), _ids("g", 3), np.eye(3, dtype=np.float32))
    out = [np.array([0])]
    assert evaluate(_task([{1}], 3, out), embeddings).metrics["AP"] == 100.0
    assert evaluate(_task([{1}], 3), embeddings).metrics["AP"] == 50.0
    assert evaluate(_task([{0}], 3, out), embeddings).metrics["AP"] == pytest.approx(100 / 3)
    task = _task([{1}], 3, out)
    assert list(retrieved(task.parts[0], match(task, embeddings), 5)) == [("q0", ["g1", "g2"])]


def test_single_targets_in_bulk_are_ranked_as_one_by_one():
    rng = np.random.default_rng(0)
    embeddings = _whole_numbers(1, 30, 40)
    targets = [{int(one)} for one in rng.integers(0, 40, 29)] + [set()]
    arrays = [np.array(sorted(one), np.int64) for one in targets]
    excluded = [rng.integers(0, 40, 2) for _ in targets]

    def bulk(ranks):
        return {f"R@{k}": found_within(ranks, k) for k in (1, 3, 10)}

    def single(number, places):
        return {f"R@{k}": (places.ranks <= k).any(axis=1).astype(float) for k in (1, 3, 10)}

    queries, gallery = embeddings.query_ids, embeddings.gallery_ids
    results = [
        evaluate(
            Task("made", "official", "test", (Part("all", queries, gallery, arrays, excluded=excluded, **one),)),
            embeddings,
        )
        for one in ({"measure_targets": bulk}, {"measure": single})
    ]
    assert results[0].metrics == results[1].metrics
    assert results[0].bounds == results[1].bounds

    assert results[0].bounds["R@10"][0] < results[0].bounds["R@10"][1]


def test_result_files(tmp_path):
    found = evaluate(_task([{1}, {2, 3}]), _whole_numbers(0, 2))
    path = tmp_path / "new" / "result.json"
    write_result(found, path)
    written = json.loads(path.read_text())
    assert list(written) == ["benchmark", "protocol", "metrics", "bounds", "counts"]
    assert written["bounds"]["AP"] == list(found.bounds["AP"])
    assert written["counts"] == {"queries": 2, "gallery": 10, "ignored_queries": 0, "ignored_gallery": 0}
    read = read_result(path)
    assert read.metrics == found.metrics
    assert (read.split, read.protocol) == ("test", "official")
    assert read.queries[0].ids == ("q0", "q1")
    assert np.mean(read.queries[0].values["AP"]) == pytest.approx(found.metrics["AP"], abs=1e-5)
    queries_path(path).unlink()
    assert read_result(path).queries == []
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="no result"):
        read_result(path)
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_result(tmp_path / "absent.json")
