"""Revisited Oxford and Paris: junk deleted, trapezoids, levels, the pickle."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.task import Box
from schemas.errors import ConfigurationError

IMAGES = [f"oxford_{number:06d}" for number in range(40)]
TRUTHS = [
    {"bbx": [10.5, 20.0, 110.5, 220.0], "easy": [0, 1], "hard": [2], "junk": [3, 4]},
    {"bbx": [0.0, 0.0, 5.0, 5.0], "easy": [], "hard": [5], "junk": []},
]
QUERIES = ["all_souls_000000", "all_souls_000001"]
GND = {"imlist": IMAGES, "qimlist": QUERIES, "gnd": TRUTHS}


def _arrays():
    return {**GND, "gnd": [{key: np.array(one) for key, one in truth.items()} for truth in TRUTHS]}


@pytest.fixture
def folder(tmp_path, write):
    return write(tmp_path, {"gnd_roxford5k.pkl": pickle.dumps(_arrays(), protocol=2)})


def _ranked(*numbers):
    return {IMAGES[number]: 1 - place / 100 for place, number in enumerate(numbers)}


def test_by_hand(folder, by_scores, score):
    """Query 0: junk 3, easy 0, wrong 9, hard 2, junk 4, easy 1. Query 1: wrong 9, hard 5."""
    scores = {QUERIES[0]: _ranked(3, 0, 9, 2, 4, 1), QUERIES[1]: _ranked(9, 5)}
    found = score("roxford", folder, by_scores(scores, IMAGES))
    # Easy: 0, 9, 1 without junk and hard; query 1 has none and is left out.
    easy = ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 2
    assert found.metrics["easy/mAP"] == pytest.approx(100 * easy)
    assert found.metrics["easy/mP@1"] == pytest.approx(100.0)
    assert found.metrics["easy/mP@5"] == pytest.approx(100 * 2 / 3), "at the last of its positives, the third place"
    # Medium: 0, 9, 2, 1; query 1: 9, 5.
    first = ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3
    second = (0 / 1 + 1 / 2) / 2
    assert found.metrics["medium/mAP"] == pytest.approx(100 * (first + second) / 2)
    assert found.metrics["medium/mP@10"] == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)
    # Hard: 9, 2 without junk and easy.
    assert found.metrics["hard/mAP"] == pytest.approx(100 * (0 / 1 + 1 / 2) / 2)
    assert set(found.metrics) == {
        f"{level}/{name}" for level in ("easy", "medium", "hard") for name in ("mAP", "mP@1", "mP@5", "mP@10")
    }
    assert found.counts["easy/queries"] == 1
    assert found.counts["medium/queries"] == 2


def test_neither_junk_as_negatives_nor_the_plain_sum_is_it(folder, by_scores, score):
    scores = {QUERIES[0]: _ranked(3, 0, 9, 2, 4, 1), QUERIES[1]: _ranked(9, 5)}
    found = score("roxford", folder, by_scores(scores, IMAGES)).metrics["easy/mAP"]
    plain = 100 * (1 + 2 / 3) / 2
    kept = 100 * ((0 / 1 + 1 / 2) / 2 + (1 / 5 + 2 / 6) / 2) / 2
    assert abs(found - plain) > 1
    assert abs(found - kept) > 1


def test_against_the_definition(folder, random_embeddings, order, score):
    task = BENCHMARKS["roxford"].load(folder, "official", "test", None)
    embeddings = random_embeddings(task, seed=2)
    found = score("roxford", folder, embeddings)
    for level, counted, deleted in (
        ("easy", ("easy",), ("junk", "hard")),
        ("medium", ("easy", "hard"), ("junk",)),
        ("hard", ("hard",), ("junk", "easy")),
    ):
        values = []
        for query, truth in zip(QUERIES, TRUTHS, strict=True):
            wanted = {IMAGES[one] for name in counted for one in truth[name]}
            gone = {IMAGES[one] for name in deleted for one in truth[name]}
            if not wanted:
                continue
            ranking = [one for one in order(embeddings, query, IMAGES) if one not in gone]
            area, hits = 0.0, 0
            for place, one in enumerate(ranking):
                if one in wanted:
                    before = hits / place if place else 1.0
                    hits += 1
                    area += (before + hits / (place + 1)) / (2 * len(wanted))
            values.append(area)
        assert found.metrics[f"{level}/mAP"] == pytest.approx(100 * np.mean(values))


def test_json_says_the_same_as_the_pickle(folder, write, tmp_path_factory, random_embeddings, score):
    other = write(tmp_path_factory.mktemp("json"), {"gnd_roxford5k.json": GND})
    embeddings = random_embeddings(BENCHMARKS["roxford"].load(folder, "official", "test", None))
    assert score("roxford", folder, embeddings).metrics == score("roxford", other, embeddings).metrics


def test_queries_are_cut_to_their_box(folder):
    part = BENCHMARKS["roxford"].load(folder, "official", "test", None).parts[0]
    assert part.query_input(0).image.box == Box(10.5, 20.0, 110.5, 220.0)
    assert part.gallery_image(IMAGES[0]).paths[0] == f"{IMAGES[0]}.jpg"


def test_both_ground_truths_may_lie_in_one_folder(folder, write):
    write(folder, {"gnd_rparis6k.json": {**GND, "qimlist": ["eiffel_0", "eiffel_1"]}})
    assert BENCHMARKS["roxford"].load(folder, "official", "test", None).parts[1].queries == QUERIES
    assert BENCHMARKS["rparis"].load(folder, "official", "test", None).parts[1].queries == ["eiffel_0", "eiffel_1"]


def test_a_file_of_any_name_will_do_where_it_is_alone(tmp_path, write):
    write(tmp_path, {"gnd.json": GND})
    assert BENCHMARKS["rparis"].load(tmp_path, "official", "test", None).benchmark == "rparis"
    write(tmp_path, {"gnd_more.json": GND})
    with pytest.raises(ConfigurationError, match="several"):
        BENCHMARKS["rparis"].load(tmp_path, "official", "test", None)


def test_a_pickle_with_a_program_is_not_run(tmp_path, write):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    write(tmp_path, {"gnd_roxford5k.pkl": pickle.dumps({**GND, "imlist": [Evil()]}, protocol=2)})
    with pytest.raises(ConfigurationError, match="no pickle of plain data"):
        BENCHMARKS["roxford"].load(tmp_path, "official", "test", None)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imlist": None}, "must hold the lists"),
        ({"imlist": [1, 2]}, "must hold names"),
        ({"gnd": TRUTHS[:1]}, "2 queries in qimlist, but 1"),
        ({"gnd": [TRUTHS[0], {**TRUTHS[1], "hard": [40]}]}, "gnd 1: 'hard' must list numbers of imlist, 0 to 39"),
        ({"gnd": [TRUTHS[0], {**TRUTHS[1], "bbx": [1]}]}, "gnd 1: 'bbx'"),
        ({"gnd": [{**one, "easy": [], "hard": []} for one in TRUTHS]}, "no query with a positive"),
        ({"qimlist": [QUERIES[0]] * 2}, "more than once"),
    ],
)
def test_broken_ground_truths_are_named(tmp_path, changes, message):
    (tmp_path / "gnd_roxford5k.json").write_text(json.dumps(GND | changes))
    with pytest.raises(ConfigurationError, match=message):
        BENCHMARKS["roxford"].load(tmp_path, "official", "test", None)
