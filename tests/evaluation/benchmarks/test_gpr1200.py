"""GPR1200: inner products, the query in its own ranking, order by category alone."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.embeddings import Embeddings
from evaluation.score import evaluate
from schemas.errors import ConfigurationError

NAMES = ("10_b.jpg", "2_z.jpg", "2_a.jpg", "10_a.jpg", "2_m.jpg")


def _without_queries(gallery, names=NAMES):
    vectors = np.asarray(gallery, np.float32)
    return Embeddings((), np.zeros((0, vectors.shape[1]), np.float32), names, vectors)


def test_the_query_is_its_own_first_hit(tmp_path, score):
    """Category 2 has three images in one direction, category 10 two that are apart: 10_a finds 2_z before 10_b."""
    found = score("gpr1200", tmp_path, _without_queries([[0, 1, 0], [1, 0, 0.1], [1, 0, 0], [0, 0, 1], [1, 0, 0]]))
    # 10_b ties with four images at zero behind itself; by number these are 2_z, 2_a, 2_m, 10_a.
    of_10_b = (1 + 2 / 5) / 2
    # 10_a: itself, 2_z at 0.1, then 2_a, 2_m, 10_b at zero.
    of_10_a = (1 + 2 / 5) / 2
    assert found.metrics["mAP"] == pytest.approx(100 * (3 + of_10_b + of_10_a) / 5)
    assert found.bounds["mAP"] == pytest.approx(
        (100 * (3 + (1 + 2 / 5) / 2 * 2) / 5, 100 * (3 + (1 + 2 / 2) / 2 + (1 + 2 / 3) / 2) / 5)
    )
    assert set(found.metrics) == {"mAP"}
    assert found.counts["queries"] == 5


def test_scores_are_inner_products_not_cosines(tmp_path, score):
    """Lengths decide: normalised, each image would find its own category; by inner product the long ones win."""
    gallery = [[10, 1], [0, 1], [0.1, 1], [10, 2], [0, 2]]
    found = score("gpr1200", tmp_path, _without_queries(gallery))
    task = BENCHMARKS["gpr1200"].load(tmp_path, "official", "all", NAMES)
    assert task.similarity == "dot"
    normalised = evaluate(task, _without_queries(gallery), "cosine")
    assert normalised.metrics["mAP"] == pytest.approx(100.0)
    # 2_z = (0, 1) against 1, 1, 1, 2, 2: 2_m and 10_a lead, then by number 2_z, 2_a, 10_b (2_m stands before 10_a).
    assert found.metrics["mAP"] < 90.0
    assert found.metrics["mAP"] == pytest.approx(_by_definition(gallery))


def _by_definition(gallery):
    names = sorted(NAMES, key=lambda one: int(one.split("_")[0]))
    vectors = {one: np.array(row, np.float64) for one, row in zip(NAMES, gallery, strict=True)}
    values = []
    for query in names:
        ranking = sorted(names, key=lambda one: (-np.float32(vectors[query] @ vectors[one]), names.index(one)))
        flags = np.array([one.split("_")[0] == query.split("_")[0] for one in ranking])
        values.append((np.cumsum(flags) / np.arange(1, 6))[flags].mean())
    return 100 * np.mean(values)


def test_removing_the_query_would_give_another_number(tmp_path, score):
    gallery = np.random.default_rng(0).standard_normal((5, 8))
    found = score("gpr1200", tmp_path, _without_queries(gallery)).metrics["mAP"]
    assert found == pytest.approx(_by_definition(gallery))
    without = []
    for number, query in enumerate(NAMES):
        others = [one for one in range(5) if one != number]
        others.sort(key=lambda one: -gallery[number] @ gallery[one])
        flags = np.array([NAMES[one].split("_")[0] == query.split("_")[0] for one in others])
        without.append((np.cumsum(flags) / np.arange(1, 5))[flags].mean())
    assert 100 * np.mean(without) < found - 1


def test_queries_may_be_given_and_files_listed(tmp_path, write, score):
    write(tmp_path, {"files.txt": "\n".join(reversed(NAMES))})
    gallery = np.eye(5, dtype=np.float32)
    given = Embeddings(NAMES, gallery, NAMES, gallery)
    assert score("gpr1200", tmp_path, given).metrics == score("gpr1200", tmp_path, _without_queries(gallery)).metrics
    with pytest.raises(ConfigurationError, match="lack 1 query ids"):
        score("gpr1200", tmp_path, Embeddings(NAMES[:4], gallery[:4], NAMES, gallery))
    with pytest.raises(ConfigurationError, match=r"do not name: '3_x.jpg'"):
        score("gpr1200", tmp_path, _without_queries(np.eye(6), (*NAMES, "3_x.jpg")))


def test_names_without_category_are_named(tmp_path, score):
    with pytest.raises(ConfigurationError, match=r"'photo.jpg'"):
        score("gpr1200", tmp_path, _without_queries(np.eye(2), ("1_a.jpg", "photo.jpg")))


def test_the_whole_set_has_six_subsets(tmp_path):
    names = [f"{category}_{number}.jpg" for category in range(1200) for number in range(10)]
    task = BENCHMARKS["gpr1200"].load(tmp_path, "official", "all", names)
    assert task.notes == ()
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.standard_normal((1200, 12)), 10, axis=0)
    found = evaluate(task, _without_queries(centres + 0.4 * rng.standard_normal((12000, 12)), tuple(names)))
    subsets = [f"{one}/mAP" for one in ("landmarks", "inat", "sketch", "instre", "sop", "faces")]
    assert set(found.metrics) == {"mAP", *subsets}
    assert np.mean([found.metrics[one] for one in subsets]) == pytest.approx(found.metrics["mAP"])
