"""INQUIRE: full rank and rerank, ties as scikit-learn has them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.embeddings import Embeddings
from schemas.errors import ConfigurationError

IMAGES = [f"train/{number:03d}.jpg" for number in range(80)]
#: Query 5 has three relevant images, query 9 has sixty.
RELEVANT = {"5": IMAGES[:3], "9": IMAGES[20:80]}


@pytest.fixture
def folder(tmp_path, write):
    rows = [f"{query},{number},{one}" for query, found in RELEVANT.items() for number, one in enumerate(found)]
    listed = [f"5,{one}" for one in IMAGES[1:41]] + [f"9,{one}" for one in IMAGES[10:40]]
    return write(
        tmp_path,
        {
            "inquire_queries_test.csv": (
                ",query_id,query_text,supercategory,category,iconic_group\n"
                '0,5,"a heron, fishing",Behavior,Feeding,Birds\n1,9,moss,Species,Plants,Plants\n'
            ),
            "inquire_annotations.csv": "query_id,image_id,image_path\n" + "\n".join([*rows, "77,1,train/x.jpg"]) + "\n",
            "rerank.csv": "query_id,image_path\n" + "\n".join(listed) + "\n",
        },
    )


def _ranked(*numbers):
    return {IMAGES[number]: 1 - place / 100 for place, number in enumerate(numbers)}


def test_by_hand(folder, by_scores, score):
    """Query 5 finds its images at 2, 4 and 60; query 9 finds fifty of sixty."""
    first = _ranked(30, 0, 31, 1, *range(3, 30), *range(32, 60), 2)
    found = score("inquire", folder, by_scores({"5": first, "9": _ranked(*range(20, 80))}, IMAGES))
    assert found.metrics["AP@50"] == pytest.approx(100 * ((1 / 2 + 2 / 4) / 3 + 1) / 2), "by min(50, 3), min(50, 60)"
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    gained = 1 / math.log2(3) + 1 / math.log2(5)
    assert found.metrics["nDCG@50"] == pytest.approx(100 * (gained / ideal + 1) / 2)
    assert found.metrics["MRR"] == pytest.approx(75.0)
    assert found.metrics["P@50"] == pytest.approx(100 * (2 / 50 + 1) / 2)
    assert found.metrics["recall@50"] == pytest.approx(100 * (2 / 3 + 50 / 60) / 2)
    assert set(found.metrics) == {"AP@50", "nDCG@50", "MRR", "P@50", "recall@50"}


def test_mrr_stops_at_fifty(folder, by_scores, score):
    found = score("inquire", folder, by_scores({"5": _ranked(*range(3, 80), 0), "9": _ranked(20)}, IMAGES))
    assert found.metrics["MRR"] == pytest.approx(50.0)


def test_rerank_counts_positives_among_its_candidates(folder, by_scores, score):
    """Of query 5 the candidates hold two relevant images, of query 9 twenty; all of them come first."""
    best = by_scores({"5": _ranked(0, 1, 2), "9": _ranked(*range(20, 80))}, IMAGES[1:41])
    found = score("inquire-rerank", folder, best)
    assert found.metrics["AP@100"] == pytest.approx(100.0)
    assert found.metrics["recall@100"] == pytest.approx(100.0)
    assert found.metrics["P@100"] == pytest.approx(100 * (2 / 40 + 20 / 30) / 2), "by the length of the list"
    assert found.counts["gallery"] == 40
    worse = by_scores({"5": _ranked(9, 1, 2), "9": _ranked(*range(20, 80))}, IMAGES[1:41])
    assert score("inquire-rerank", folder, worse).metrics["AP@100"] == pytest.approx(
        100 * ((1 / 2 + 2 / 3) / 2 + 1) / 2
    )


@pytest.mark.parametrize("name", ["inquire", "inquire-rerank"])
def test_ties_as_scikit_learn_has_them(folder, score, name):
    """Scores of a few levels: AP and nDCG are those of the authors' definition on the same first 50."""
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    listed = IMAGES[1:41] if name == "inquire-rerank" else IMAGES
    levels = rng.integers(0, 5, (2, len(listed))).astype(np.float32)
    embeddings = Embeddings(("5", "9"), levels, tuple(listed), np.eye(len(listed), dtype=np.float32))
    found = score(name, folder, embeddings)
    lists = {"5": IMAGES[1:41], "9": IMAGES[10:40]} if name == "inquire-rerank" else dict.fromkeys("59", IMAGES)
    areas, gains = [], []
    for row, (query, candidates) in enumerate(lists.items()):
        scores = dict(zip(listed, levels[row], strict=True))
        first = sorted(candidates, key=lambda one: (-scores[one], candidates.index(one)))[:50]
        flags = np.array([one in RELEVANT[query] for one in first])
        told = np.array([scores[one] for one in first], float)
        count = sum(one in candidates for one in RELEVANT[query])
        areas.append(sklearn.average_precision_score(flags, told) * flags.sum() / min(count, len(first)))
        lost = count - int(flags.sum())
        gains.append(sklearn.ndcg_score([[*flags, *[1] * lost]], [[*told, *[-100] * lost]], k=len(first)))
    suffix = 100 if name == "inquire-rerank" else 50
    assert found.metrics[f"AP@{suffix}"] == pytest.approx(100 * np.mean(areas))
    assert found.metrics[f"nDCG@{suffix}"] == pytest.approx(100 * np.mean(gains))
    for metric, value in found.metrics.items():
        low, high = found.bounds[metric]
        assert low - 1e-9 <= value <= high + 1e-9
    assert found.bounds[f"AP@{suffix}"][0] < found.bounds[f"AP@{suffix}"][1]


def test_the_gallery_may_be_listed(folder, write, by_scores, score):
    write(folder, {"gallery.txt": "\n".join(IMAGES)})
    scores = {"5": _ranked(0), "9": _ranked(20)}
    assert score("inquire", folder, by_scores(scores, IMAGES)).counts["gallery"] == 80
    with pytest.raises(ConfigurationError, match=r"do not name: 'train/more.jpg'"):
        score("inquire", folder, by_scores(scores, [*IMAGES, "train/more.jpg"]))
    with pytest.raises(ConfigurationError, match="lack 1 gallery ids"):
        score("inquire", folder, by_scores(scores, IMAGES[1:]))


def test_without_a_list_the_file_is_the_gallery_and_holds_every_relevant_image(folder, by_scores, score):
    scores = {"5": _ranked(0), "9": _ranked(20)}
    assert score("inquire", folder, by_scores(scores, [*IMAGES, "train/more.jpg"])).counts["gallery"] == 81
    with pytest.raises(ConfigurationError, match=r"does not hold: 'train/002.jpg'"):
        score("inquire", folder, by_scores(scores, [one for one in IMAGES if one != "train/002.jpg"]))


def test_queries_of_the_other_split_are_ignored(folder, by_scores, score):
    scores = {"5": _ranked(0), "9": _ranked(20), "77": {}}
    assert score("inquire", folder, by_scores(scores, IMAGES)).counts["ignored_queries"] == 1
    with pytest.raises(ConfigurationError, match="do not name: '78'"):
        score("inquire", folder, by_scores(scores | {"78": {}}, IMAGES))


def test_broken_tables_are_named(folder, write):
    write(folder, {"inquire_queries_test.csv": "query_id\n5\n"})
    with pytest.raises(ConfigurationError, match=r"inquire_queries_test\.csv has no column 'query_text'"):
        BENCHMARKS["inquire"].load(folder, "official", "test", IMAGES)
    write(folder, {"inquire_queries_test.csv": "query_id,query_text\n5,a\n5,b\n"})
    with pytest.raises(ConfigurationError, match="more than once: '5'"):
        BENCHMARKS["inquire"].load(folder, "official", "test", IMAGES)
    write(folder, {"inquire_queries_test.csv": "query_id,query_text\n5,a\n6,b\n"})
    with pytest.raises(ConfigurationError, match="no relevant image for the queries '6'"):
        BENCHMARKS["inquire"].load(folder, "official", "test", IMAGES)
