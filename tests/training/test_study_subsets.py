"""Studies over subsets of the triplets, each against random ones of its size."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_pictures import colour_task, write_dataset

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.open_dataset import open_dataset
from training.data.triplet_ids import digest_of, ids_in, ids_of, write_ids
from training.data.triplet_table import TripletTable
from training.model_folder import deciding
from training.study.options import StudyOptions
from training.study.study import plan, study
from training.study.subsets import subset_runs
from training.surroundings import Surroundings


@pytest.fixture(scope="module")
def task():
    images, rows = colour_task(np.random.default_rng(0))
    for number, row in enumerate(rows):
        row["page_id"] = f"page {number // 3}"
        row["mining"] = "near" if number < 150 else "far"
    return images, rows


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, task):
    root = tmp_path_factory.mktemp("colours")
    write_dataset(root, *task)
    write_dataset(root, task[0], task[1][:40], "validation")
    return root


@pytest.fixture(scope="module")
def settings(tiny_clip):
    model = {"image_tower": str(tiny_clip), "text_tower": None, "width": 48, "layers": 1, "heads": 4}
    return {"model": model, "run": {"steps": 3, "batch": 16, "threads": 1, "report_to": [], "log_steps": 3}}


@pytest.fixture
def half(tmp_path, task):
    """A dataset of every other triplet, and their ids."""
    rows = task[1][::2]
    return write_dataset(tmp_path / "half", task[0], rows), sorted(row["triplet_id"] for row in rows)


def kept(opened, run):
    table = TripletTable(opened.files, run.config.data, opened.images.numbers)
    return sorted(one.row_id for one in table.all_rows())


def test_ids_are_read_from_a_dataset_a_table_and_a_text(tmp_path, half):
    folder, ids = half
    assert ids_of(folder, "train") == ids
    pq.write_table(pa.table({"triplet_id": ids + ids[:3]}), tmp_path / "ids.parquet")
    assert ids_of(tmp_path / "ids.parquet", "train") == ids
    (tmp_path / "ids.txt").write_text("\ufeff" + "\r\n".join(reversed(ids)) + "\n\n")
    assert ids_of(str(tmp_path / "ids.txt"), "train") == ids
    path = write_ids(ids, tmp_path / "parts")
    assert ids_in(path).to_pylist() == ids
    assert digest_of(path) == digest_of(tmp_path / "ids.txt") != digest_of(tmp_path / "none.txt")


def test_what_holds_no_ids_is_said(tmp_path, half):
    with pytest.raises(ConfigurationError, match="cannot read the triplet ids"):
        ids_of(tmp_path / "none.txt", "train")
    with pytest.raises(ConfigurationError, match="no triplets of the split 'test'"):
        ids_of(half[0], "test")
    with pytest.raises(ConfigurationError, match="cannot read"):
        ids_of(tmp_path / "none.parquet", "train")


def test_a_training_keeps_to_the_ids_of_a_file(tmp_path, dataset, half):
    opened = open_dataset(dataset, "train", tmp_path)
    path = write_ids(half[1], tmp_path)
    config = train_config({"data": {"triplets": str(path), "where": {"mining": ["near"]}, "window": 50}})
    table = TripletTable(opened.files, config.data, opened.images.numbers)
    found = {row.row_id for row in table.all_rows()}
    assert len(found) == 75
    assert found < set(half[1])
    assert table.counts().filtered == 105
    assert sum(int(table.page_counts(number).sum()) for number in range(len(table))) == 75


def test_settings_decide_by_the_ids_and_not_by_where_they_lie(tmp_path, half):
    before = deciding(train_config({}))
    assert "triplets" not in before["data"]
    here, there = (train_config({"data": {"triplets": write_ids(half[1], tmp_path / one)}}) for one in "ab")
    assert deciding(here) == deciding(there) != before
    other = train_config({"data": {"triplets": write_ids(half[1][1:], tmp_path / "a")}})
    assert deciding(other) != deciding(here)


def test_each_subset_has_random_ones_of_its_size(tmp_path, dataset, settings, half):
    opened = open_dataset(dataset, "train", tmp_path)
    (tmp_path / "few.txt").write_text("\n".join([*half[1][:20], "a stranger"]))
    subsets = {"half": half[0], "few": tmp_path / "few.txt"}
    runs = subset_runs(settings, opened, subsets, 2, tmp_path / "parts")
    found = {one.name: kept(opened, one) for one in runs}
    sizes = {name: len(ids) for name, ids in found.items()}
    assert sizes == {
        "half": 90,
        "few": 20,
        "random 20": 20,
        "random 90": 90,
        "random 20, draw 2": 20,
        "random 90, draw 2": 90,
        "all": 180,
    }
    assert found["half"] == half[1]
    assert set(found["random 20"]) < set(found["random 90"])
    assert found["random 90"] != found["random 90, draw 2"]
    again = subset_runs(settings, opened, subsets, 2, tmp_path / "parts")
    assert [one.config for one in again] == [one.config for one in runs]
    # What the settings leave out is in no run, and no subset's size counts it.
    filtered = {**settings, "data": {"where": {"mining": ["near"]}}}
    found = {one.name: kept(opened, one) for one in subset_runs(filtered, opened, {"half": half[0]}, 1, tmp_path / "p")}
    assert {name: len(ids) for name, ids in found.items()} == {"half": 75, "random": 75, "all": 150}


def test_a_study_of_a_selection(tmp_path, dataset, settings, half):
    said, out = [], tmp_path / "study"
    options = StudyOptions(subsets={"selection": str(half[0])}, seeds=1, controls=True)
    result = study(dataset, out, settings, options, Surroundings(said.append))
    assert [(one.name, one.triplets, one.status) for one in result.scored] == [
        ("selection", 90, "scored"),
        ("random", 90, "scored"),
        ("all", 180, "scored"),
    ]
    assert len({tuple(one.seeds[0].metrics.values()) for one in result.scored}) == 3
    told = json.loads((out / "study.json").read_text())
    assert told["title"] == "subsets and random ones of their size"
    assert set(told["runs"][0]["data"]) == {"triplets"}
    said.clear()
    assert study(dataset, out, settings, options, Surroundings(said.append)) == result
    assert all("trained already" in one for one in said)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "mining"}, "--by and --subset name different studies"),
        ({"randoms": 0}, "--randoms is 0"),
        ({"equal": True}, "--equal cuts runs"),
    ],
)
def test_wrong_options_have_a_sentence(half, options, words):
    with pytest.raises(ConfigurationError, match=words):
        StudyOptions(subsets={"half": half[0]}, **options).check()


def test_subsets_of_other_datasets_and_taken_names_are_refused(tmp_path, dataset, settings, half):
    (tmp_path / "other.txt").write_text("one\ntwo\n")
    with pytest.raises(ConfigurationError, match=r"--subset odd: no triplet of .* is among those"):
        plan(dataset, settings, StudyOptions(subsets={"odd": tmp_path / "other.txt"}), tmp_path)
    with pytest.raises(ConfigurationError, match="two runs are called 'random'"):
        plan(dataset, settings, StudyOptions(subsets={"random": half[0]}), tmp_path)
