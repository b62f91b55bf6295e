"""CIRR: the deleted reference, the set of five, hard and soft targets."""

from __future__ import annotations

import pytest

from evaluation.benchmarks import BENCHMARKS
from schemas.errors import ConfigurationError

IMAGES = ["r", "t", "m1", "m2", "m3", "m4", *(f"x{number}" for number in range(50))]


def _entry(pairid=7, **changes):
    return {
        "pairid": pairid,
        "reference": "r",
        "target_hard": "t",
        "target_soft": {"t": 1.0, "m1": 0.5, "m2": -1.0},
        "caption": "with two dogs",
        "img_set": {"id": 1, "members": ["m1", "r", "t", "m2", "m3", "m4"], "reference_rank": 1, "target_rank": 2},
    } | changes


@pytest.fixture
def folder(tmp_path, write):
    return write(
        tmp_path,
        {
            "captions/cap.rc2.val.json": [_entry()],
            "image_splits/split.rc2.val.json": {one: f"./dev/{one}.png" for one in IMAGES},
        },
    )


def _ranked(*order):
    return {"7": {one: 1.0 - place / 100 for place, one in enumerate(order)}}


def test_the_reference_is_deleted_from_both_rankings(folder, by_scores, score):
    """Kept, it would make R@1 and Rsubset@1 zero: it is always the nearest image."""
    found = score("cirr", folder, by_scores(_ranked("r", "t", "m1"), IMAGES))
    assert found.metrics == {
        "R@1": 100.0,
        "R@5": 100.0,
        "R@10": 100.0,
        "R@50": 100.0,
        "Rsubset@1": 100.0,
        "Rsubset@2": 100.0,
        "Rsubset@3": 100.0,
    }


def test_the_subset_ranks_only_its_five(folder, by_scores, score):
    found = score("cirr", folder, by_scores(_ranked("x0", "x1", "x2", "x3", "x4", "m4", "r", "t"), IMAGES))
    assert [found.metrics[f"R@{k}"] for k in (1, 5, 10)] == [0.0, 0.0, 100.0]
    assert [found.metrics[f"Rsubset@{k}"] for k in (1, 2, 3)] == [0.0, 100.0, 100.0]


def test_the_fiftieth_counts_without_the_reference(folder, by_scores, score):
    last = score("cirr", folder, by_scores(_ranked("r", *IMAGES[6:55], "t"), IMAGES))
    assert last.metrics["R@50"] == 100.0
    beyond = score("cirr", folder, by_scores(_ranked("r", *IMAGES[6:56], "t"), IMAGES))
    assert beyond.metrics["R@50"] == 0.0


def test_soft_takes_the_best_value_seen(folder, by_scores, score):
    """m1 is worth a half, m2 nothing: hard and soft must differ here."""
    embeddings = by_scores(_ranked("m2", "m1", "x1", "x2", "x3", "x4", "t"), IMAGES)
    soft, hard = (score("cirr", folder, embeddings, one) for one in ("soft", "hard"))
    assert [soft.metrics[f"R@{k}"] for k in (1, 5, 10)] == [0.0, 50.0, 100.0]
    assert [hard.metrics[f"R@{k}"] for k in (1, 5, 10)] == [0.0, 0.0, 100.0]
    assert [soft.metrics[f"Rsubset@{k}"] for k in (1, 2, 3)] == [0.0, 50.0, 100.0]


def test_a_soft_target_that_is_the_reference_is_never_seen(folder, write, by_scores, score):
    write(folder, {"captions/cap.rc2.val.json": [_entry(target_soft={"r": 1.0, "m1": 0.2})]})
    found = score("cirr", folder, by_scores(_ranked("r", "t", "m1"), IMAGES), "soft")
    assert [found.metrics[f"R@{k}"] for k in (1, 5, 50)] == [0.0, 20.0, 20.0], "the hard target has no soft value"


def test_bounds_enclose_ties(folder, by_scores, score):
    """The target, a soft one and an irrelevant image share the first place."""
    embeddings = by_scores({"7": {"x0": 0.9, "t": 0.9, "m1": 0.9}}, IMAGES)
    hard, soft = (score("cirr", folder, embeddings, one) for one in ("hard", "soft"))
    assert hard.metrics["R@1"] == 100.0, "t stands before m1 and x0 in the split file"
    assert hard.bounds["R@1"] == (0.0, 100.0)
    assert hard.bounds["R@5"] == (100.0, 100.0)
    assert soft.bounds["R@1"] == (0.0, 100.0)
    assert soft.bounds["Rsubset@1"] == (50.0, 100.0)
    assert hard.bounds["Rsubset@1"] == (0.0, 100.0)


def test_the_order_of_the_file_breaks_ties_not_that_of_the_embeddings(folder, by_scores, score):
    scores = {"7": {"x0": 0.9, "t": 0.9}}
    for gallery in (IMAGES, IMAGES[::-1]):
        assert score("cirr", folder, by_scores(scores, gallery)).metrics["R@1"] == 100.0


def test_the_test_split_is_refused(folder, write, random_embeddings, score):
    entry = {key: value for key, value in _entry().items() if not key.startswith("target")}
    write(
        folder,
        {
            "captions/cap.rc2.test1.json": [entry],
            "image_splits/split.rc2.test1.json": {one: f"./test1/{one}.png" for one in IMAGES},
        },
    )
    task = BENCHMARKS["cirr"].load(folder, "hard", "test1", None)
    assert not task.scorable
    with pytest.raises(ConfigurationError, match="not published"):
        score("cirr", folder, random_embeddings(task), split="test1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (_entry(pairid="7"), "'pairid' must be an integer"),
        (_entry(pairid=True), "'pairid' must be an integer"),
        (_entry(target_hard="absent"), "'absent'"),
        (_entry(reference="m9"), "lack the reference"),
        (_entry(img_set={"members": ["r", "absent"]}), "'absent'"),
        (_entry(img_set=[]), "'img_set' must be an object"),
    ],
)
def test_broken_entries_are_named(folder, write, entry, message):
    write(folder, {"captions/cap.rc2.val.json": [entry]})
    with pytest.raises(ConfigurationError, match=message):
        BENCHMARKS["cirr"].load(folder, "hard", "val", None)
    write(folder, {"captions/cap.rc2.val.json": [_entry(), _entry()]})
    with pytest.raises(ConfigurationError, match="more than once: '7'"):
        BENCHMARKS["cirr"].load(folder, "hard", "val", None)


def test_files_that_the_metric_does_not_need_are_not_required(folder):
    assert sorted(path.name for path in folder.rglob("*.json")) == ["cap.rc2.val.json", "split.rc2.val.json"]
    assert BENCHMARKS["cirr"].load(folder, "hard", "val", None).notes == (
        "1 queries; the published files have 4181",
        "56 images; the published files have 2297",
    )
