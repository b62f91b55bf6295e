"""A whole dataset: read back by `datasets` and `mlcroissant`, written again byte for byte, empty, replaced."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import datasets
import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from publishing.config import PublishConfig
from publishing.croissant import validate_croissant
from publishing.description import read_description
from schemas.errors import ConfigurationError
from schemas.published import SPLITS
from schemas.storage import Folder


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def _tree(folder: str | Path) -> dict[str, str]:
    root = Path(folder)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _card(folder: Folder) -> tuple[dict, str]:
    _, head, text = folder.read("README.md").decode().split("---\n", 2)
    return yaml.safe_load(head), text


def test_load_dataset_reads_the_default_configuration_and_all_splits(dataset, corpus):
    read = datasets.load_dataset(dataset.path)
    assert sorted(read) == sorted(SPLITS)
    assert sum(len(one) for one in read.values()) == 60
    row = read["train"][0]
    assert row["query_image"].size == row["target_image"].size == (96, 64)
    assert row["instruction"] == row["instructions"][0]["text"]


def test_load_dataset_reads_images_and_ids(dataset, corpus):
    images = datasets.load_dataset(dataset.path, "images")
    for part in images.values():
        assert part["image_id"] == sorted(part["image_id"])
        assert all(one["image"].size == (96, 64) for one in part)
    assert sorted(one for part in images.values() for one in part["image_id"]) == sorted(corpus.images)
    ids = datasets.load_dataset(dataset.path, "ids")
    assert {one for part in ids.values() for one in part["triplet_id"]} == {row["triplet_id"] for row in corpus.rows}
    assert "query_image" not in ids["train"].column_names


def test_every_image_that_a_split_names_is_among_its_images_and_in_no_other(dataset):
    named, held = {}, {}
    for split in SPLITS:
        rows = datasets.load_dataset(dataset.path, "ids", split=split)
        named[split] = {one for row in rows for one in (row["target_image_id"], *row["hard_negatives"])}
        held[split] = set(datasets.load_dataset(dataset.path, "images", split=split)["image_id"])
    assert named == held
    assert not held["train"] & held["test"]
    assert not held["train"] & held["validation"]


def test_the_card_tells_the_reader_what_there_is(dataset):
    about, text = _card(dataset)
    assert [one["config_name"] for one in about["configs"]] == ["triplets", "images", "ids"]
    assert [one.get("default", False) for one in about["configs"]] == [True, False, False]
    assert about["license"] == "other"
    assert about["size_categories"] == ["n<1K"]
    counts = {one["config_name"]: sum(s["num_examples"] for s in one["splits"]) for one in about["dataset_info"]}
    assert counts == {"triplets": 60, "images": 60, "ids": 60}
    assert "60 triplets" in text
    assert "crosses\\_split 1" in text
    assert "CC BY-SA 4.0" in text
    assert "efficientnet-lite0" in text
    assert "````\nTitle: {{ title }}\n```\nfrom" in text, "a prompt with a fence gets a longer one"
    assert str(dataset.path) not in text


def test_the_features_of_the_card_are_those_of_the_files(dataset):
    infos = {one["config_name"]: one for one in _card(dataset)[0]["dataset_info"]}
    for name, info in infos.items():
        from_card = datasets.Features._from_yaml_list(info["features"])
        assert from_card == datasets.load_dataset(dataset.path, name, split="train").features


def test_publishing_again_gives_the_same_bytes_and_replaces_nothing(tmp_path, dataset, corpus, publish_corpus):
    first = _tree(dataset.path)
    inode = Path(dataset.path).stat().st_ino
    publish_corpus(corpus, dataset)
    assert Path(dataset.path).stat().st_ino == inode, "an equal dataset is left alone"
    elsewhere = Folder(str(tmp_path / "deep" / "other"))
    Path(elsewhere.path).parent.mkdir()
    corpus.rows.reverse()
    publish_corpus(corpus, elsewhere)
    assert _tree(elsewhere.path) == first


def test_a_changed_dataset_replaces_the_old_one_and_leaves_nothing_behind(dataset, corpus, publish_corpus):
    before = set(_tree(dataset.path))
    del corpus.rows[5:]
    publish_corpus(corpus, dataset)
    after = _tree(dataset.path)
    assert read_description(dataset).triplets == 5
    assert len(after) < len(before)
    assert {name for name in after if name.endswith(".parquet")} == {
        one.name for one in read_description(dataset).files
    }
    assert not [one for one in Path(dataset.path).parent.iterdir() if one.name.startswith(".")]


def test_another_run_s_dataset_and_a_foreign_folder_are_refused(tmp_path, dataset, corpus, publish_corpus):
    before = _tree(dataset.path)
    with pytest.raises(ConfigurationError, match="another run"):
        publish_corpus(corpus, dataset, owner="run-b")
    assert _tree(dataset.path) == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        publish_corpus(corpus, Folder(str(foreign)))
    assert (foreign / "thesis.txt").read_text() == "mine"


def test_the_manifest_gives_back_the_description(dataset, corpus, publish_corpus):
    about = read_description(dataset)
    assert about.triplets == 60
    for one in about.files:
        data = dataset.read(one.name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one.bytes, one.digest)
    assert about.statistics.to_json() == publish_corpus(corpus, dataset).statistics.to_json()


def test_croissant_is_valid_and_its_records_are_readable(dataset, corpus):
    path = Path(dataset.path) / "croissant.json"
    assert validate_croissant(path) == []
    read = mlcroissant.Dataset(jsonld=str(path))
    rows = {row["triplet_id"]: row for row in corpus.rows}
    found = list(read.records("triplets"))
    assert len(found) == 60
    for record in found:
        row = rows[record["triplets/triplet_id"].decode()]
        assert record["triplets/instruction"].decode() == row["instruction"]
        assert record["triplets/query_image"].size == (96, 64)
        assert record["triplets/split"].decode() in SPLITS
    assert len(list(read.records("images"))) == 60
    data = json.loads(path.read_text())
    assert sum(1 for key in data if key.startswith("rai:")) >= 10


def test_no_triplets_at_all_give_files_with_a_schema_and_a_card_that_says_so(tmp_path, corpus, publish_corpus):
    corpus.rows.clear()
    target = Folder(str(tmp_path / "empty"))
    publish_corpus(corpus, target)
    about, text = _card(target)
    assert "This dataset is empty" in text
    assert [name for name in _tree(target.path) if name.endswith(".parquet")] == [
        f"{folder}/train-00000-of-00001.parquet" for folder in ("data", "ids", "images")
    ]
    assert about["size_categories"] == ["n<1K"]
    (warning,) = validate_croissant(Path(target.path) / "croissant.json")
    assert "datePublished" in warning
    with pytest.raises(ValueError, match="no data"):
        datasets.load_dataset(target.path)


def test_without_bytes_ids_is_the_default(tmp_path, corpus, publish_corpus):
    target = Folder(str(tmp_path / "slim"))
    publish_corpus(corpus, target, config=PublishConfig(include_bytes=False))
    assert not target.exists("data")
    read = datasets.load_dataset(target.path, split="train")
    assert "query_image_id" in read.column_names
    assert "query_image" not in read.column_names


def test_a_dataset_on_an_object_store_is_replaced_with_its_card_last(corpus, publish_corpus):
    target = Folder("memory://bucket/out/dataset")
    publish_corpus(corpus, target)
    assert read_description(target).triplets == 60
    del corpus.rows[5:]
    publish_corpus(corpus, target)
    about = read_description(target)
    assert about.triplets == 5
    found = {path.rsplit("/dataset/", 1)[1] for path in target.fs.find(target.root)}
    assert {name for name in found if name.endswith(".parquet")} == {one.name for one in about.files}


def test_a_killed_first_publication_on_an_object_store_goes_on(corpus, publish_corpus, monkeypatch):
    """Files come before the card: what lies there is known as ours, and no other run may take it."""
    target = Folder("memory://killed/out/dataset")
    copy = type(target.fs).cp_file
    done = []

    def killed_after_three(self, source, path, **more):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(path)
        copy(self, source, path, **more)

    monkeypatch.setattr(type(target.fs), "cp_file", killed_after_three)
    with pytest.raises(KeyboardInterrupt):
        publish_corpus(corpus, target)
    monkeypatch.setattr(type(target.fs), "cp_file", copy)
    assert not target.exists("README.md")
    with pytest.raises(ConfigurationError, match="another run"):
        publish_corpus(corpus, target, owner="run-b")
    assert publish_corpus(corpus, target).triplets == 60
    assert target.exists("README.md")


def test_superseded_files_that_a_kill_left_on_an_object_store_go_with_the_next_publication(corpus, publish_corpus):
    target = Folder("memory://stale/out/dataset")
    publish_corpus(corpus, target)
    target.replace("data/train-00000-of-00099.parquet", b"what a reader's globs would find")
    target.replace("tombstones.json", b"{}")
    about = publish_corpus(corpus, target)
    assert {f"data/{name}" for name in target.list("data")} == {one.name for one in about.of("triplets")}
    assert not target.exists("tombstones.json")


def test_row_groups_hold_four_to_eight_megabytes_and_an_image_once(tmp_path, corpus, publish_corpus):
    """Real sizes: 60 triplets that show 60 images of 300 kB, with the default settings."""
    noise = np.random.default_rng(0).bytes(300_000)
    corpus.images = {one: data + noise for one, data in corpus.images.items()}
    target = Folder(str(tmp_path / "large"))
    publish_corpus(corpus, target, config=PublishConfig(shares={"train": 1, "validation": 0, "test": 0}))
    for folder, column, held in (("data", "query_image.bytes", 60), ("images", "image.bytes", 60)):
        (name,) = target.list(folder)
        metadata = pq.read_metadata(f"{target.path}/{folder}/{name}")
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        sizes = [sum(one.column(i).total_compressed_size for i in range(one.num_columns)) for one in groups]
        assert len(sizes) > 1
        assert all(4 << 20 <= size <= 8.1 * (1 << 20) for size in sizes[:-1]), sizes
        assert all(one.num_rows <= 256 for one in groups)
        index = [groups[0].column(i).path_in_schema for i in range(groups[0].num_columns)].index(column)
        stored = sum(one.column(index).total_compressed_size for one in groups)
        assert stored < held * 310_000, "each image once"


def test_files_are_about_as_large_as_they_are_asked_to_be(tmp_path, corpus, publish_corpus):
    """Repeated images count once in the plan as they do in the file."""
    twice = [row | {"triplet_id": row["triplet_id"][:-2] + f"{n:02x}"} for row in corpus.rows for n in range(4)]
    corpus.rows = twice
    target = Folder(str(tmp_path / "sized"))
    config = PublishConfig(shares={"train": 1, "validation": 0, "test": 0}, target_bytes=150_000)
    about = publish_corpus(corpus, target, config=config)
    sizes = [one.bytes for one in about.of("triplets")]
    assert len(sizes) > 2
    assert all(75_000 <= size <= 225_000 for size in sizes), sizes


def test_texts_are_a_list_of_structs_and_every_column_has_the_type_of_the_contract(dataset):
    features = datasets.load_dataset(dataset.path, "triplets", split="train").features
    string, score = datasets.Value("string"), datasets.Value("float32")
    members = ("text", "category", "direction", "length", "method", "model", "prompt", "score", "verdict")
    text = {name: score if name == "score" else string for name in members}
    contract = {
        "triplet_id": string,
        "query_image": datasets.Image(),
        "target_image": datasets.Image(),
        "instruction": string,
        "instructions": datasets.List(text),
        "hard_negatives": datasets.List(string),
        **dict.fromkeys(("query_image_id", "target_image_id", "page_id", "page_url", "page_title"), string),
        **dict.fromkeys(("query_image_url", "target_image_url", "query_text", "target_text"), string),
        **dict.fromkeys(("visual_similarity", "text_similarity"), score),
        **dict.fromkeys(("mining", "license", "opt_out"), string),
        "crawl_date": datasets.Value("timestamp[us, tz=UTC]"),
    }
    assert {name: features[name] for name in contract} == contract
    row = datasets.load_dataset(dataset.path, "ids", split="train")[0]
    assert isinstance(row["instructions"], list)
    assert set(row["instructions"][0]) == set(members)
