"""A selection as a dataset: what it holds, says and leaves alone, whoever reads it."""

import json
from pathlib import Path

import datasets
import numpy as np
import pytest

from publishing.config import PublishConfig
from publishing.croissant import validate_croissant
from publishing.dataset_reader import ImageLookup, rows
from publishing.description import read_description
from publishing.exporters.export import export
from publishing.selection.config import selection_config
from publishing.selection.select import select
from publishing.take_down import take_down
from publishing.tombstones import Tombstones, read_tombstones
from schemas.errors import ConfigurationError
from schemas.ids import image_id
from schemas.storage import Folder


def config(by="quality", size=11, **more):
    return selection_config({"by": by, "size": size, **more})


def table(folder, configuration="ids", split=None):
    return list(rows(folder, read_description(folder), configuration, split))


def files(folder):
    return {one.relative_to(folder.path).as_posix(): one.read_bytes() for one in sorted(Path(folder.path).rglob("*.*"))}


@pytest.fixture
def chosen(tmp_path, dataset):
    target = Folder(str(tmp_path / "chosen"))
    return target, select(dataset, target, config())


def test_the_chosen_rows_are_there_as_they_were(dataset, chosen):
    target, done = chosen
    before = {row["triplet_id"]: row for row in table(dataset, split="train")}
    after = table(target, split="train")
    assert len(after) == 11 < len(before)
    assert all(before[row["triplet_id"]] == row for row in after)
    assert read_description(target).manifest() == done.dataset.manifest()
    with_images = table(target, "triplets", "train")
    assert [row["triplet_id"] for row in with_images] == [row["triplet_id"] for row in after]
    for row in with_images:
        for side in ("query", "target"):
            assert image_id(row[f"{side}_image"]["bytes"]) == row[f"{side}_image_id"]


def test_images_are_those_that_rows_name(dataset, chosen):
    target, _ = chosen
    named = {
        one
        for row in table(target, split="train")
        for one in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"])
    }
    held = [row["image_id"] for row in table(target, "images", "train")]
    assert held == sorted(named)
    assert len(held) < len(table(dataset, "images", "train"))
    lookup = ImageLookup(target, read_description(target), ["train"])
    assert all(image_id(lookup.get(one)["bytes"]) == one for one in held)


def test_validation_and_test_stay_byte_for_byte(dataset, chosen):
    before, after = files(dataset), files(chosen[0])
    for name, data in before.items():
        if "/validation-" in name or "/test-" in name:
            assert after[name] == data
    assert read_description(chosen[0]).statistics.counts["split"]["test"] == len(table(dataset, split="test"))


def test_equal_settings_give_equal_bytes(tmp_path, dataset, chosen):
    again = Folder(str(tmp_path / "again"))
    select(dataset, again, config())
    assert files(again) == files(chosen[0])
    other = Folder(str(tmp_path / "other"))
    select(dataset, other, config(size=12))
    assert read_description(other).owner != read_description(again).owner


def test_everyone_reads_it(tmp_path, chosen):
    target, _ = chosen
    read = datasets.load_dataset(target.path, cache_dir=str(tmp_path / "cache"))
    assert len(read["train"]) == 11
    assert read["train"][0]["query_image"].size == (96, 64)
    assert validate_croissant(Path(target.path) / "croissant.json") == []
    assert export(target, "lasco", Folder(str(tmp_path / "lasco"))).rows > 0


def test_card_funnel_and_report_say_what_was_selected(dataset, chosen):
    target, _ = chosen
    whole = len(table(dataset, split="train"))
    sentence = f"a selection of 11 of {whole} triplets, by quality"
    assert sentence in target.read("README.md").decode()
    assert sentence in target.read("croissant.json").decode()
    assert "selection of" not in dataset.read("README.md").decode()
    entry = [one for one in read_description(target).funnel["stages"] if one["stage"] == "select"][1]
    assert (entry["in"], entry["kept"], entry["rejected"]) == (whole, 11, {"not_selected": whole - 11})
    report = json.loads(target.read("selection.json"))
    assert report["report"]["chosen"] == 11
    assert report["selection"]["settings"]["size"] == 11
    assert b"<svg" in target.read("selection.html")


def test_a_selection_of_a_selection_tells_of_both(tmp_path, chosen):
    target = Folder(str(tmp_path / "twice"))
    select(chosen[0], target, config("diversity", 4))
    card = target.read("README.md").decode()
    assert "11 of" in card
    assert "4 of 11 triplets, by diversity" in card
    assert len(table(target, split="train")) == 4


def test_tombstones_stay_and_take_down_works_on(tmp_path, dataset):
    gone = table(dataset, split="train")[0]["page_url"]
    take_down(dataset, Tombstones.of(urls=[gone]))
    target = Folder(str(tmp_path / "chosen"))
    select(dataset, target, config(size=8))
    assert read_tombstones(target) == read_tombstones(dataset)
    next_one = table(target, split="train")[0]["page_url"]
    done = take_down(target, Tombstones.of(urls=[next_one]))
    assert done.triplets >= 1
    assert len(table(target, split="train")) == 8 - done.triplets
    assert not target.exists("selection.json"), "its numbers tell of rows that are gone"
    assert len(read_tombstones(target).urls) == 2


def test_all_rows_selected_are_the_rows(tmp_path, dataset):
    whole = table(dataset, split="train")
    target = Folder(str(tmp_path / "all"))
    select(dataset, target, config("mix", len(whole)))
    assert table(target, split="train") == whole


def test_without_the_triplets_with_bytes(tmp_path, corpus, publish_corpus):
    source, target = Folder(str(tmp_path / "dataset")), Folder(str(tmp_path / "chosen"))
    publish_corpus(corpus, source, PublishConfig(include_bytes=False, shares={"train": 1, "validation": 0, "test": 0}))
    done = select(source, target, config(size=7))
    assert {one.configuration for one in done.dataset.files} == {"ids", "images"}
    assert done.dataset.triplets == 7


def test_to_another_filesystem(dataset):
    target = Folder("memory://select/chosen")
    select(dataset, target, config())
    about = read_description(target)
    found = {path.rsplit("/chosen/", 1)[1] for path in target.fs.find(target.root)}
    assert {name for name in found if name.endswith(".parquet")} == {one.name for one in about.files}
    assert len(table(target, split="train")) == 11
    assert len(table(target, split="test")) == len(table(dataset, split="test"))
    assert not [one for one in target.fs.find("/select") if ".scratch-" in one]


def test_vectors_get_the_rows_by_id_with_what_they_ask_for(tmp_path, dataset):
    seen = []

    def vectors(found):
        seen.append(found)
        return np.eye(found.num_rows, dtype=np.float32)

    done = select(dataset, Folder(str(tmp_path / "x")), config("mix"), vectors, "texts", ("target_text",))
    ids = seen[0]["triplet_id"].to_pylist()
    assert ids == sorted(row["triplet_id"] for row in table(dataset, split="train"))
    assert "target_text" in seen[0].column_names
    assert "features: texts" in Folder(str(tmp_path / "x")).read("README.md").decode()
    assert done.report["by_quality"] == 6


def test_what_cannot_be_selected_leaves_nothing(tmp_path, dataset, chosen):
    target = Folder(str(tmp_path / "new"))
    for wanted, words in (
        (config(size=1000), "--size is 1000, and the split train of"),
        (config(cover={"colour": 1.0}), "no column 'colour'"),
        (config("diversity", caps={"page_id": 0.01}, size=20), "the caps leave"),
        (config(quality={"mining": {"kind": "high"}}), "holds string, no numbers"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            select(dataset, target, wanted)
    with pytest.raises(ConfigurationError, match="is not empty"):
        select(dataset, chosen[0], config())
    with pytest.raises(ConfigurationError, match="no dataset of Lensmith"):
        select(Folder(str(tmp_path)), target, config())
    assert {one.name for one in tmp_path.iterdir() if one.name != "dataset-scratch"} == {"dataset", "chosen"}


def test_chains_stay_of_which_all_triplets_do(tmp_path, chained):
    source, target = chained, Folder(str(tmp_path / "chosen"))
    whole = table(source, "chains", "train")
    select(source, target, config(size=len(table(source, split="train")) - 4))
    left = table(target, "chains", "train")
    ids = {row["triplet_id"] for row in table(target, split="train")}
    assert left == [row for row in whole if ids.issuperset(row["triplet_ids"])]
    assert 0 < len(left) < len(whole)
    turns = read_description(target).statistics.counts["chain_turns"]
    assert sum(turns.values()) == len(table(target, "chains"))
