"""Lensmith's own datasets, and tables like MTCIR's."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.benchmarks import benchmark
from evaluation.benchmarks.mtcir import parse_columns
from evaluation.score import evaluate
from schemas.errors import ConfigurationError

IMAGES = [f"{number:064x}" for number in range(15)]


@pytest.fixture
def dataset(tmp_path):
    """Two test triplets over fifteen images, in two files; training rows that no test may see."""

    def rows(folder, name, columns):
        (tmp_path / folder).mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), tmp_path / folder / name)

    def triplet(one, query, target):
        columns = {"triplet_id": [one], "query_image_id": [query], "target_image_id": [target]}
        return columns | {"instruction": ["make it red"], "hard_negatives": [[query]]}

    rows("ids", "test-00000-of-00002.parquet", triplet("t0", IMAGES[0], IMAGES[1]))
    rows("ids", "test-00001-of-00002.parquet", triplet("t1", IMAGES[2], IMAGES[3]))
    rows("ids", "train-00000-of-00001.parquet", triplet("t2", "x", "y"))
    rows("images", "test-00000-of-00001.parquet", {"image_id": IMAGES, "url": IMAGES})
    rows("images", "train-00000-of-00001.parquet", {"image_id": ["x", "y"], "url": ["x", "y"]})
    return tmp_path


def _ranked(*numbers):
    return {IMAGES[number]: 1 - place / 100 for place, number in enumerate(numbers)}


def test_the_query_image_is_taken_out(dataset, by_scores, score):
    """t0: its own image, then the target. t1: ten others before the target."""
    scores = {"t0": _ranked(0, 1), "t1": _ranked(*range(4, 14), 3)}
    found = score("lensmith", dataset, by_scores(scores, IMAGES))
    assert found.metrics == pytest.approx(
        {"R@1": 50, "R@5": 50, "R@10": 50, "R@50": 100, "mAP@10": 50, "mAP": 100 * (1 + 1 / 11) / 2}
    )
    assert (found.split, found.counts["queries"], found.counts["gallery"]) == ("test", 2, 15)


def test_other_splits(dataset, by_scores, score):
    found = score("lensmith", dataset, by_scores({"t2": {"y": 0.1}}, ["x", "y"]), split="train")
    assert found.metrics["R@1"] == 100.0
    with pytest.raises(ConfigurationError, match="no queries in this split"):
        score("lensmith", dataset, by_scores({"t2": {}}, ["x", "y"]), split="validation")


def test_no_dataset_is_refused(tmp_path, by_scores, score):
    with pytest.raises(ConfigurationError, match="no dataset of Lensmith"):
        score("lensmith", tmp_path, by_scores({"t0": {}}, IMAGES))


ROWS = [
    {"id": "a", "image": "1.jpg", "target_image": "2.jpg", "modifications": ["redder", "seen from above"]},
    {"id": "b", "image": "2.jpg", "target_image": "3.jpg", "modifications": ["smaller"]},
]


def _check(task, by_scores):
    found = evaluate(task, by_scores({"a": {"1.jpg": 0.9, "2.jpg": 0.8}, "b": {"1.jpg": 0.9, "3.jpg": 0.8}}))
    assert found.metrics["R@1"] == 50.0
    assert found.metrics["mAP"] == 75.0
    assert task.parts[0].query_input(0).fields == {"caption": "redder seen from above"}


def test_mtcir(tmp_path, write, by_scores):
    write(tmp_path, {"mtcir.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS)})
    _check(benchmark("mtcir").load(tmp_path, "official", "all", None), by_scores)


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_other_names_of_columns(tmp_path, suffix, by_scores):
    names = {"id": "id", "image": "source", "target_image": "goal", "modifications": "says"}
    rows = [{names[key]: value for key, value in row.items()} for row in ROWS]
    path = tmp_path / f"table.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    columns = parse_columns("image=source,target=goal,text=says")
    _check(benchmark("mtcir", columns).load(path, "official", "all", None), by_scores)
    with pytest.raises(ConfigurationError, match=r"no column image, target_image, modifications.*it holds id, source"):
        benchmark("mtcir").load(path, "official", "all", None)


def test_csv_and_rows_without_id(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("image,target_image,modifications\n1.jpg,2.jpg,redder\n")
    part = benchmark("mtcir").load(path, "official", "all", None).parts[0]
    assert part.queries == ["0"]
    assert part.query_input(0).fields == {"caption": "redder"}


@pytest.mark.parametrize("text", ["image", "image=", "picture=x", ""])
def test_maps_of_columns_that_say_nothing(text):
    with pytest.raises(ConfigurationError, match="--columns"):
        parse_columns(text)


def test_maps_of_columns_belong_to_mtcir():
    with pytest.raises(ConfigurationError, match="belongs to the benchmark mtcir"):
        benchmark("cirr", {"image": "x"})
    with pytest.raises(ConfigurationError, match="there are fashioniq, cirr"):
        benchmark("flickr")
