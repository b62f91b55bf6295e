"""FashionIQ: four protocols that must differ, by hand and against the definition."""

from __future__ import annotations

import pytest

from evaluation.benchmarks import BENCHMARKS
from schemas.errors import ConfigurationError

CATEGORIES = ("dress", "shirt", "toptee")
IMAGES = [f"I{number:02d}" for number in range(60)]


def _entry(candidate, target, first="is red", second="has no sleeves"):
    return {"candidate": candidate, "target": target, "captions": [first, second]}


@pytest.fixture
def folder(tmp_path, write):
    """60 images a category; one query for dresses, two for the others."""
    files = {}
    for category in CATEGORIES:
        entries = [_entry("I00", "I01"), _entry("I02", "I03")][: 1 if category == "dress" else 2]
        files[f"captions/cap.{category}.val.json"] = entries
        files[f"image_splits/split.{category}.val.json"] = IMAGES
    return write(tmp_path, files)


def _ranked(category, *order):
    """Scores that put these images first, in order."""
    return {f"{category}/{one}": 1.0 - place / 100 for place, one in enumerate(order)}


def _scores(dress, shirt=(["I01"], ["I03"]), toptee=(["I01"], ["I03"]), suffixes=("",)):
    found = {}
    for category, lists in (("dress", [dress]), ("shirt", shirt), ("toptee", toptee)):
        for number, order in enumerate(lists):
            for suffix in suffixes:
                found[f"{category}/{number}{suffix}"] = _ranked(category, *order)
    return found


GALLERY = [f"{category}/{one}" for category in CATEGORIES for one in IMAGES]


def test_the_reference_stays_or_goes(folder, by_scores, score):
    """The target of the dress stands at 11 behind its reference, and nine others of the union or the split."""
    dress = ["I00", *IMAGES[4:13], "I01"]
    original = score("fashioniq", folder, by_scores(_scores(dress), GALLERY))
    assert original.metrics["dress/R@10"] == 0.0
    assert original.metrics["dress/R@50"] == 100.0
    removed = score("fashioniq", folder, by_scores(_scores(dress, suffixes=("/0", "/1")), GALLERY), "cosmo-full")
    assert removed.metrics["dress/R@10"] == 100.0


def test_the_union_is_smaller_than_the_split(folder, by_scores, score):
    """In the union of dresses there are two images only: the target is first among them without the reference."""
    embeddings = by_scores(_scores([*IMAGES[4:59], "I01"]), GALLERY)
    assert score("fashioniq", folder, embeddings).metrics["dress/R@50"] == 0.0
    union = score("fashioniq", folder, embeddings, "val")
    assert union.metrics["dress/R@10"] == 100.0
    assert union.counts["dress/gallery"] == 2
    assert union.counts["ignored_gallery"] == 180 - 2 - 4 - 4, "a full split under `val` is ignored and counted"


def test_the_union_needs_no_split_file(folder, by_scores, score):
    for path in (folder / "image_splits").iterdir():
        path.unlink()
    names = ["I00", "I01"], ["I00", "I01", "I02", "I03"], ["I00", "I01", "I02", "I03"]
    gallery = [f"{category}/{one}" for category, found in zip(CATEGORIES, names, strict=True) for one in found]
    embeddings = by_scores(_scores(["I01"]), gallery)
    assert score("fashioniq", folder, embeddings, "val").metrics["average/R@10"] == 100.0
    with pytest.raises(ConfigurationError, match=r"image_splits/split\.dress\.val\.json"):
        score("fashioniq", folder, embeddings)


def test_cosmo_asks_twice(folder, by_scores, score):
    scores = _scores(["I01"], suffixes=("/0", "/1"))
    scores["dress/0/1"] = _ranked("dress", *IMAGES[4:59], "I01")
    found = score("fashioniq", folder, by_scores(scores, GALLERY), "cosmo-full")
    assert found.metrics["dress/R@50"] == 50.0
    assert found.counts["queries"] == 10
    with pytest.raises(ConfigurationError, match=r"lack 5 query ids of fashioniq .*'dress/0'"):
        score("fashioniq", folder, by_scores(scores, GALLERY))


def test_both_orders_may_stand_beside_the_plain_queries(folder, by_scores, score):
    scores = _scores(["I01"]) | _scores(["I01"], suffixes=("/0", "/1"))
    found = score("fashioniq", folder, by_scores(scores, GALLERY))
    assert found.counts["queries"] == 5
    assert found.counts["ignored_queries"] == 10


def test_the_average_is_over_categories_not_over_queries(folder, by_scores, score):
    embeddings = by_scores(_scores(IMAGES[4:59]), GALLERY)
    found = score("fashioniq", folder, embeddings)
    assert [found.metrics[f"{one}/R@10"] for one in CATEGORIES] == [0.0, 100.0, 100.0]
    assert found.metrics["average/R@10"] == pytest.approx(200 / 3), "four of five queries would be 80"


@pytest.mark.parametrize("protocol", ["original", "val", "cosmo-full", "cosmo-val"])
def test_against_the_definition(folder, random_embeddings, order, score, protocol):
    benchmark = BENCHMARKS["fashioniq"]
    embeddings = random_embeddings(benchmark.load(folder, protocol, "val", None), seed=3)
    found = score("fashioniq", folder, embeddings, protocol)
    for category, pairs in (("dress", [("I00", "I01")]), ("shirt", [("I00", "I01"), ("I02", "I03")])):
        hits = []
        for number, (reference, target) in enumerate(pairs):
            names = IMAGES if protocol in ("original", "cosmo-full") else [one for pair in pairs for one in pair]
            gallery = [f"{category}/{one}" for one in names if protocol == "original" or one != reference]
            for suffix in ("/0", "/1") if "cosmo" in protocol else ("",):
                ranking = order(embeddings, f"{category}/{number}{suffix}", gallery)
                hits.append(ranking.index(f"{category}/{target}") < 10)
        assert found.metrics[f"{category}/R@10"] == pytest.approx(100 * sum(hits) / len(hits))


def test_names(folder, random_embeddings, score):
    task = BENCHMARKS["fashioniq"].load(folder, "original", "val", None)
    found = score("fashioniq", folder, random_embeddings(task))
    names = [f"{one}/R@{k}" for one in (*CATEGORIES, "average") for k in (10, 50)]
    assert sorted(found.metrics) == sorted(names)
    assert set(found.bounds) == set(found.metrics)
    assert "1 dress queries; the published files have 2017" in task.notes


def test_a_split_without_targets_is_refused(folder, write, random_embeddings, score):
    for category in CATEGORIES:
        write(
            folder,
            {
                f"captions/cap.{category}.test.json": [{"candidate": "I00", "captions": ["a", "b"]}],
                f"image_splits/split.{category}.test.json": IMAGES,
            },
        )
    embeddings = random_embeddings(BENCHMARKS["fashioniq"].load(folder, "original", "test", None))
    with pytest.raises(ConfigurationError, match="not published"):
        score("fashioniq", folder, embeddings, split="test")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions/cap.dress.val.json", {}, "no list at its top"),
        ("captions/cap.dress.val.json", [], "no entries"),
        ("captions/cap.dress.val.json", "[", "no JSON"),
        ("captions/cap.dress.val.json", [1], "no objects: '0'"),
        (
            "captions/cap.dress.val.json",
            [{"candidate": "I00", "target": 5, "captions": ["a", "b"]}],
            "'target' must be",
        ),
        ("captions/cap.dress.val.json", [_entry("I00", "absent")], "'absent'"),
        ("captions/cap.dress.val.json", [_entry("absent", "I00")], "'absent'"),
        ("captions/cap.dress.val.json", [_entry("I00", "I01") | {"captions": "x"}], "'captions' must be a list"),
        ("captions/cap.dress.val.json", [_entry("I00", "I01"), {"candidate": "I00", "captions": ["a"]}], "entry 1"),
        ("image_splits/split.dress.val.json", ["I00", "I01", "I01"], "more than once: 'I01'"),
        ("image_splits/split.dress.val.json", [1, 2], "list of image names"),
    ],
)
def test_broken_files_are_named(folder, write, name, content, message):
    write(folder, {name: content})
    with pytest.raises(ConfigurationError, match=message) as error:
        BENCHMARKS["fashioniq"].load(folder, "original", "val", None)
    assert name.rsplit("/", 1)[1] in str(error.value)


def test_ids_that_are_missing_or_unknown_are_named(folder, by_scores, score):
    scores = _scores(["I01"])
    with pytest.raises(ConfigurationError, match=r"lack 1 gallery ids .*'toptee/I59'"):
        score("fashioniq", folder, by_scores(scores, GALLERY[:-1]))
    with pytest.raises(ConfigurationError, match="do not name: 'dress/X'"):
        score("fashioniq", folder, by_scores(scores, [*GALLERY, "dress/X"]))
    with pytest.raises(ConfigurationError, match="do not name: 'dress/7'"):
        score("fashioniq", folder, by_scores(scores | {"dress/7": {}}, GALLERY))
