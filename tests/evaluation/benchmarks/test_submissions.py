"""Files for the servers of CIRR and CIRCO, and the rules that they must keep."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.embeddings import Embeddings
from evaluation.submissions import Submission, check, submissions, write_submissions
from schemas.errors import ConfigurationError

NAMES = [f"test1-{number}-0-img0" for number in range(80)]


@pytest.fixture
def cirr(tmp_path, write):
    entries = [
        {
            "pairid": pairid,
            "reference": NAMES[pairid],
            "caption": "two dogs",
            "img_set": {"id": 0, "members": NAMES[pairid - 2 : pairid + 4]},
        }
        for pairid in (10, 9, 20)
    ]
    write(
        tmp_path,
        {
            "captions/cap.rc2.test1.json": entries,
            "image_splits/split.rc2.test1.json": {one: f"./test1/{one}.png" for one in NAMES},
        },
    )
    return BENCHMARKS["cirr"].load(tmp_path, "hard", "test1", None)


@pytest.fixture
def circo(tmp_path, write):
    entries = [{"id": number, "reference_img_id": number + 1, "relative_caption": "is smaller"} for number in range(3)]
    write(tmp_path, {"annotations/test.json": entries})
    return BENCHMARKS["circo"].load(tmp_path, "official", "test", [str(number) for number in range(1, 90)])


def test_cirr(cirr, tmp_path, random_embeddings, order):
    embeddings = random_embeddings(cirr)
    recall, subset = submissions(cirr, embeddings)
    paths = write_submissions([recall, subset], cirr, tmp_path / "out")
    assert [path.name for path in paths] == ["cirr_test1_recall.json", "cirr_test1_recall_subset.json"]
    whole, small = (json.loads(path.read_text()) for path in paths)
    assert (whole["version"], whole["metric"]) == ("rc2", "recall")
    assert (small["version"], small["metric"]) == ("rc2", "recall_subset")
    assert list(whole) == ["10", "20", "9", "metric", "version"], "keys in the order of strings"
    for query in (9, 10, 20):
        ranking = [one for one in order(embeddings, str(query), NAMES) if one != NAMES[query]]
        assert whole[str(query)] == ranking[:50]
        members = set(NAMES[query - 2 : query + 4])
        assert small[str(query)] == [one for one in ranking if one in members][:3]


def test_circo(circo, tmp_path, random_embeddings, order):
    embeddings = random_embeddings(circo)
    found = submissions(circo, embeddings)
    (path,) = write_submissions(found, circo, tmp_path / "mine.json")
    assert path == tmp_path / "mine.json"
    content = json.loads(path.read_text())
    assert list(content) == ["0", "1", "2"]
    ranking = order(embeddings, "1", embeddings.gallery_ids)
    assert content["1"] == [int(one) for one in ranking[:50]], "numbers, and the reference may be among them"


def test_ties_are_in_the_order_of_the_split(cirr):
    embeddings = Embeddings(
        tuple(cirr.query_ids()), np.ones((3, 2), np.float32), tuple(NAMES[::-1]), np.ones((80, 2), np.float32)
    )
    recall, _ = submissions(cirr, embeddings)
    assert recall.content["9"] == [*NAMES[:9], *NAMES[10:51]]


def _changed(found, **lists):
    return Submission(found.suffix, found.content | lists)


def test_rules_of_cirr(cirr, random_embeddings):
    recall, subset = submissions(cirr, random_embeddings(cirr))
    kept = recall.content["9"]
    for changed, message in (
        (Submission("", {key: one for key, one in recall.content.items() if key != "9"}), "it differs in '9'"),
        (_changed(recall, **{"99": kept}), "it differs in '99'"),
        (_changed(recall, **{"9": kept[:49]}), "do not hold 50 different images of the split: '9'"),
        (_changed(recall, **{"9": [*kept[:49], kept[0]]}), "50 different images of the split: '9'"),
        (_changed(recall, **{"9": [*kept[:49], "dev-0"]}), "50 different images of the split: '9'"),
        (_changed(recall, **{"9": [*kept[:49], NAMES[9]]}), "with the reference"),
        (_changed(subset, **{"9": [NAMES[7], NAMES[8], NAMES[50]]}), "not of the set: '9'"),
        (_changed(recall, version="rc1"), "version rc2"),
        (_changed(recall, metric="mAP"), "the metric recall"),
        (_changed(recall, **{"9": ["x" * 6_000_000]}), "5 MB"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            check(cirr, [changed])
    check(cirr, [recall, subset])


def test_rules_of_circo(circo, random_embeddings):
    (found,) = submissions(circo, random_embeddings(circo))
    for changed, message in (
        (_changed(found, **{"1": found.content["1"][:10]}), "do not hold 50"),
        (_changed(found, **{"1": [*found.content["1"][:49], 9999]}), "do not hold 50"),
        (_changed(found, **{"3": found.content["1"]}), "it differs in '3'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            check(circo, [changed])
    part = replace(circo.parts[0], queries=["0", "1", "5"])
    moved = replace(circo, parts=(part,))
    content = dict.fromkeys(part.queries, found.content["1"])
    with pytest.raises(ConfigurationError, match="keys 0 to n-1"):
        check(moved, [Submission("", content)])


def test_other_benchmarks_have_no_server(tmp_path, write, random_embeddings):
    write(tmp_path, {"mtcir.jsonl": '{"id": "a", "image": "1", "target_image": "2", "modifications": "x"}\n'})
    task = BENCHMARKS["mtcir"].load(tmp_path, "official", "all", None)
    with pytest.raises(ConfigurationError, match="has no test server"):
        submissions(task, random_embeddings(task))
