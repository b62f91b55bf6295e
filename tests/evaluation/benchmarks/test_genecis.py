"""GeneCIS: a gallery a query, boxes in ids, an exact tie, the mean of four tasks."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.embeddings import Embeddings
from evaluation.task import Box
from schemas.errors import ConfigurationError

TASKS = ("focus_attribute", "change_attribute", "focus_object", "change_object")


def _boxed(number, box=(1, 2, 30, 40)):
    return {"image_id": number, "instance_bbox": list(box)}


def _listed(number):
    return {"val_image_id": number}


def _entry(make, reference, target, gallery):
    return {
        "condition": "colour",
        "reference": make(reference),
        "target": make(target),
        "gallery": [make(one) for one in gallery],
    }


@pytest.fixture
def folder(tmp_path, write):
    return write(
        tmp_path,
        {
            "focus_attribute.json": [_entry(_boxed, 9, 1, [2, 3])],
            "change_attribute.json": [_entry(_boxed, 9, 1, [2, 3]), _entry(_boxed, 1, 4, [1, 2, 3])],
            "focus_object.json": [_entry(_listed, 9, 1, [2, 3, 4])],
            "change_object.json": [_entry(_listed, 9, 1, [2, 1, 3])],
        },
    )


def _ids(task, numbers):
    suffix = ":[1, 2, 30, 40]" if "attribute" in task else ""
    return {f"{task}/{number}{suffix}": score for number, score in numbers.items()}


def _scores(**changes):
    found = {
        "focus_attribute/0": _ids("focus_attribute", {1: 0.9, 2: 0.1, 3: 0.2}),
        "change_attribute/0": _ids("change_attribute", {1: 0.5, 2: 0.6, 3: 0.7, 4: 0.8}),
        "change_attribute/1": _ids("change_attribute", {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.9}),
        "focus_object/0": _ids("focus_object", {1: 0.8, 2: 0.9, 3: 0.1, 4: 0.1}),
        "change_object/0": _ids("change_object", {1: 0.9, 2: 0.1, 3: 0.2}),
    }
    return found | changes


def test_by_hand(folder, by_scores, score):
    """change_attribute/0 ranks 1, 2, 3 only: the target is third among them, though 4 would score higher."""
    found = score("genecis", folder, by_scores(_scores()))
    assert found.metrics["change_attribute/R@1"] == 50.0
    assert found.metrics["change_attribute/R@2"] == 50.0
    assert found.metrics["change_attribute/R@3"] == 100.0
    assert found.metrics["focus_object/R@1"] == 0.0
    assert found.metrics["focus_object/R@2"] == 100.0
    assert found.metrics["average/R@1"] == pytest.approx((100 + 50 + 0 + 100) / 4), "four of five queries pooled: 60"
    assert set(found.metrics) == {*(f"{task}/R@{k}" for task in TASKS for k in (1, 2, 3)), "average/R@1"}


def test_a_target_that_its_gallery_lists_again_ties_with_itself(folder, by_scores, score):
    found = score("genecis", folder, by_scores(_scores()))
    assert found.metrics["change_object/R@1"] == 100.0, "the target stands first in its list"
    assert found.bounds["change_object/R@1"] == (0.0, 100.0)
    assert found.bounds["change_object/R@2"] == (100.0, 100.0)


def test_references_may_be_in_the_file_and_are_ignored(folder, by_scores, score):
    scores = _scores()
    names = list(dict.fromkeys(one for row in scores.values() for one in row))
    more = [*names, "focus_object/9", "focus_attribute/9:[1, 2, 30, 40]"]
    assert score("genecis", folder, by_scores(scores, more)).counts["ignored_gallery"] == 2
    with pytest.raises(ConfigurationError, match="do not name: 'focus_object/77'"):
        score("genecis", folder, by_scores(scores, [*names, "focus_object/77"]))


def test_boxes_are_written_as_json_writes_them(folder, write):
    box = (1.0, 2, 30.25, 1e21)
    entry = _entry(lambda number: _boxed(number, box), 9, 1, [2])
    write(folder, {"focus_attribute.json": [entry]})
    task = BENCHMARKS["genecis"].load(folder, "official", "v0", None)
    assert "focus_attribute/1:[1.0, 2, 30.25, 1e+21]" in task.gallery_ids()
    part = task.parts[0]
    image = part.gallery_image("focus_attribute/1:[1.0, 2, 30.25, 1e+21]")
    assert image.box == Box(1.0, 2, 31.25, 1e21 + 2, 0.7)
    assert image.paths[0] == "1.jpg"
    assert task.parts[2].gallery_image("focus_object/2").paths[0] == "000000000002.jpg"


def test_equal_vectors_tie_wherever_they_stand(folder, by_scores, score):
    """An exact tie by content: bounds must see it whatever the vectors are."""
    rng = np.random.default_rng(0)
    scores = _scores()
    made = by_scores(scores)
    gallery = rng.standard_normal((len(made.gallery_ids), 33)).astype(np.float32)
    gallery[:] = gallery[0]
    queries = rng.standard_normal((len(made.query_ids), 33)).astype(np.float32)
    found = score("genecis", folder, Embeddings(made.query_ids, queries, made.gallery_ids, gallery))
    assert found.bounds["average/R@1"] == (0.0, 100.0)
    assert found.metrics["average/R@1"] == 100.0


def test_broken_items_are_named(folder, write):
    write(folder, {"focus_object.json": [_entry(lambda number: {"image_id": number}, 9, 1, [2])]})
    with pytest.raises(ConfigurationError, match=r"focus_object\.json, entry 0: 'target' must hold"):
        BENCHMARKS["genecis"].load(folder, "official", "v0", None)
    (folder / "focus_object.json").unlink()
    with pytest.raises(ConfigurationError, match=r"has no focus_object\.json"):
        BENCHMARKS["genecis"].load(folder, "official", "v0", None)
