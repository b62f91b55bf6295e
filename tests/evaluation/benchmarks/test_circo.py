"""CIRCO: mAP over all ground truths, recall on the target alone, aspects, an open gallery."""

from __future__ import annotations

import pytest

from evaluation.benchmarks import BENCHMARKS
from schemas.errors import ConfigurationError


def _entry(number=0, target=10, truths=(10, 11, 12, 13, 14, 15), aspects=("negation",)):
    return {
        "id": number,
        "reference_img_id": 1,
        "target_img_id": target,
        "gt_img_ids": list(truths),
        "relative_caption": "is smaller",
        "shared_concept": "a dog",
        "semantic_aspects": list(aspects),
    }


IMAGES = [str(number) for number in range(1, 70)]


@pytest.fixture
def folder(tmp_path, write):
    return write(tmp_path, {"annotations/val.json": [_entry(), _entry(1, 20, (20,), ("negation", "viewpoint"))]})


def _ranked(*order):
    return {one: 1.0 - place / 100 for place, one in enumerate(order)}


def test_by_hand(folder, by_scores, score):
    """Query 0 has six ground truths, at 2, 3 and 6 of the ranking: the target (10) at 6. The reference leads."""
    first = _ranked("1", "11", "12", "2", "3", "10")
    found = score("circo", folder, by_scores({"0": first, "1": _ranked("20")}, IMAGES))
    at_5 = (1 / 2 + 2 / 3) / 5
    at_10 = (1 / 2 + 2 / 3 + 3 / 6) / 6
    assert found.metrics["mAP@5"] == pytest.approx(100 * (at_5 + 1) / 2), "by min(5, 6)"
    assert found.metrics["aspect/negation/mAP@10"] == pytest.approx(found.metrics["mAP@10"])
    assert found.metrics["aspect/viewpoint/mAP@10"] == pytest.approx(100.0)
    assert found.metrics["recall@5"] == 50.0, "other ground truths do not count"
    assert found.metrics["recall@10"] == 100.0
    # The ground truths that were not named tie with all others: they come by their numbers, 13 to 15 after 4 to 9.
    rest = [6 + 6 + place for place in (1, 2, 3)]
    at_50 = at_10 * 6 + sum((4 + place) / rank for place, rank in enumerate(rest))
    assert found.metrics["mAP@50"] == pytest.approx(100 * (at_50 / 6 + 1) / 2)
    assert set(found.metrics) == {
        *(f"{kind}@{k}" for kind in ("mAP", "recall") for k in (5, 10, 25, 50)),
        "aspect/negation/mAP@10",
        "aspect/viewpoint/mAP@10",
    }


def test_the_reference_is_not_removed(folder, by_scores, score):
    kept = by_scores({"0": _ranked("1", "2", "3", "4", "5", "10"), "1": _ranked("20")}, IMAGES)
    assert score("circo", folder, kept).metrics["recall@5"] == 50.0, "without the reference the target would be fifth"


def test_bounds_of_the_target_count_other_ground_truths_before_it(folder, by_scores, score):
    tied = dict.fromkeys(["10", "11", "12", "13", "14", "15"], 0.9)
    found = score("circo", folder, by_scores({"0": tied, "1": _ranked("20")}, IMAGES))
    assert found.bounds["recall@5"] == (50.0, 100.0)
    assert found.bounds["mAP@50"] == (100.0, 100.0), "ties among ground truths move no AP"


def test_without_coco_s_list_the_gallery_is_what_the_file_holds(folder, by_scores, score):
    scores = {"0": _ranked("10"), "1": _ranked("20")}
    assert score("circo", folder, by_scores(scores, IMAGES)).counts["gallery"] == 69
    for lost in ("14", "1"):
        with pytest.raises(ConfigurationError, match=f"does not hold: '{lost}'"):
            score("circo", folder, by_scores(scores, [one for one in IMAGES if one != lost]))
    with pytest.raises(ConfigurationError, match="no file lists the gallery"):
        BENCHMARKS["circo"].load(folder, "official", "val", None)


def test_with_coco_s_list_ids_must_be_its(folder, write, by_scores, score):
    listed = {"images": [{"id": int(one)} for one in IMAGES]}
    write(folder, {"COCO2017_unlabeled/annotations/image_info_unlabeled2017.json": listed})
    scores = {"0": _ranked("10"), "1": _ranked("20")}
    assert score("circo", folder, by_scores(scores, IMAGES)).metrics["recall@5"] == 100.0
    with pytest.raises(ConfigurationError, match="do not name: '999'"):
        score("circo", folder, by_scores(scores, [*IMAGES, "999"]))
    with pytest.raises(ConfigurationError, match="lack 1 gallery ids"):
        score("circo", folder, by_scores(scores, IMAGES[:-1]))


def test_the_test_split_is_refused(folder, write, by_scores, score):
    write(folder, {"annotations/test.json": [{"id": 0, "reference_img_id": 1, "relative_caption": "is smaller"}]})
    with pytest.raises(ConfigurationError, match="not published"):
        score("circo", folder, by_scores({"0": {}}, IMAGES), split="test")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (_entry(truths=(11,)), "lacks the target 10"),
        (_entry(truths=("10",)), "must be an integer"),
        (_entry(aspects=(1,)), "must be a string"),
        ({}, "'id' must be an integer"),
    ],
)
def test_broken_entries_are_named(folder, write, entry, message):
    write(folder, {"annotations/val.json": [entry]})
    with pytest.raises(ConfigurationError, match=message):
        BENCHMARKS["circo"].load(folder, "official", "val", IMAGES)
