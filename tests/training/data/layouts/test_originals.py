"""A hand-written sample of each layout, as its authors publish it."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.layouts import find_layout
from training.data.layouts.mmeb import instruction


def _texts(row):
    return [one["text"] for one in row["instructions"]]


def test_megapairs(pictures, lines, read, tmp_path):
    """A list of texts; the query image, which stands first among the hard negatives, is none of them."""
    pictures("images/0/a.jpg", "images/0/b.jpg", "images/1/c.jpg", "images/1/d.jpg")
    record = {
        "q_img": "images/0/a.jpg",
        "q_text": ["Show it at night.", "The same place after dark"],
        "t_img": "./images/0/b.jpg",
        "hns": ["images/0/a.jpg", "images/1/c.jpg", "images/1/d.jpg", "images/1/c.jpg"],
    }
    lines("part-00.jsonl", [record])
    lines("part-01.jsonl", [record | {"q_img": "images/1/c.jpg", "q_text": "a single text", "hns": []}])
    assert find_layout(tmp_path / "data").name == "megapairs"
    (first, second), _ = read()
    assert (first["query_image_id"], first["target_image_id"]) == ("images/0/a.jpg", "images/0/b.jpg")
    assert first["instruction"] == "Show it at night."
    assert _texts(first) == record["q_text"]
    assert first["hard_negatives"] == ["images/1/c.jpg", "images/1/d.jpg"]
    assert first["page_id"] is None
    assert _texts(second) == ["a single text"]
    assert first["triplet_id"] != second["triplet_id"]


def test_mtcir(pictures, lines, read, tmp_path):
    pictures("00/a.jpg", "00/b.jpg")
    record = {"id": "00000017", "image": "00/a.jpg", "target_image": "00/b.jpg", "modifications": ["one", "two", "one"]}
    lines("mtcir_expanded.jsonl", [record])
    assert find_layout(tmp_path / "data").name == "mtcir"
    (row,), _ = read()
    assert (row["triplet_id"], row["query_image_id"], row["target_image_id"]) == ("00000017", "00/a.jpg", "00/b.jpg")
    assert _texts(row) == ["one", "two"]
    assert row["hard_negatives"] == []


@pytest.mark.parametrize("indent", [None, 1])
def test_lasco(pictures, read, tmp_path, indent):
    """Arrays on one line, as they were published, or on many; the corpora beside them hold no triplets."""
    pictures("val2014/28714.jpg", "val2014/277005.jpg", "train2014/9.jpg")
    data = tmp_path / "data"
    record = {
        "qid": 28714000,
        "query-image": [28714, "val2014/28714.jpg"],
        "query-text": "The person is riding the bike",
        "target-image": [277005, "val2014/277005.jpg"],
    }
    other = record | {"qid": 28714001, "target-image": [9, "train2014/9.jpg"]}
    (data / "lasco_train.json").write_text(json.dumps([record, other], indent=indent))
    (data / "lasco_val.json").write_text(json.dumps([other], indent=indent))
    corpus = [{"id": 9, "path": "train2014/9.jpg"}]
    for split in ("train", "val"):
        (data / f"lasco_{split}_corpus.json").write_text(json.dumps(corpus))
    assert find_layout(data).name == "lasco"
    rows, found = read()
    assert [row["target_image_id"] for row in rows] == ["val2014/277005.jpg", "train2014/9.jpg"]
    assert [_texts(row) for row in rows] == [["The person is riding the bike"]] * 2
    assert found.tally.records == 2
    assert len(read("validation")[0]) == 1


def _mmeb(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("qry", "qry_image_path", "pos_text", "pos_image_path")
    pq.write_table(pa.table({name: [one.get(name, "") for one in records] for name in names}), path)


def test_mmeb(pictures, read, tmp_path):
    """Subsets in folders of which some have no image on one side; a split in other words; an older copy."""
    query, target, other = (f"images/CIRR/Train/{name}.jpg" for name in "qto")
    pictures(query, target, other)
    data = tmp_path / "data"
    record = {
        "qry": "<|image_1|>\nGiven an image, find a similar everyday image with the described changes: Show three "
        "bottles: small ones.\n",
        "qry_image_path": query,
        "pos_text": "<|image_1|>\nRepresent the given image.\n",
        "pos_image_path": target,
    }
    paraphrased = "<|image_1|>\nFind the picture that meets the changes: Show three bottles: small ones.\n"
    for name in ("original", "train"):
        _mmeb(data / "CIRR" / f"{name}-00000-of-00001.parquet", [record, record | {"pos_image_path": other}])
    _mmeb(data / "CIRR" / "diverse_instruction-00000-of-00001.parquet", [record | {"qry": paraphrased}])
    labels = {"pos_text": "goldfish", "pos_image_path": ""}
    captions = {"qry": "Find me a picture of a dog.", "qry_image_path": ""}
    _mmeb(data / "ImageNet_1K" / "original-00000-of-00001.parquet", [record | labels] * 3)
    _mmeb(data / "MSCOCO_t2i" / "original-00000-of-00001.parquet", [record | captions])
    assert find_layout(data).name == "mmeb"
    rows, found = read()
    assert [row["target_image_id"] for row in rows] == [target, other]
    assert [_texts(row) for row in rows] == [["Show three bottles: small ones."]] * 2
    assert {name: one.count for name, one in found.tally.rejected.items()} == {
        "no_target_image": 3,
        "no_query_image": 1,
    }
    ((row,), _) = read("diverse_instruction")
    assert _texts(row) == ["Show three bottles: small ones."]


def test_mmeb_as_json_lines_with_negatives(pictures, lines, read):
    """One negative or a list of them; records that follow each other with one pair are texts of one triplet."""
    pictures("a.png", "b.png", "c.png", "d.png")
    record = {"qry": "<image> in red", "qry_image_path": "a.png", "pos_text": "", "pos_image_path": "b.png"}
    records = [
        record | {"neg_text": "", "neg_image_path": "a.png"},
        record | {"qry": "<|image_pad|>\nred, please", "neg_image_path": ["a.png", "c.png", ""]},
        record | {"pos_image_path": "d.png", "neg_image_path": None},
    ]
    lines("train.jsonl", records)
    (first, second), found = read()
    assert _texts(first) == ["in red", "red, please"]
    assert (first["hard_negatives"], second["hard_negatives"]) == (["c.png"], [])
    assert (found.tally.records, found.tally.triplets, found.tally.joined) == (3, 2, 1)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<|image_1|>\nFind an image to match the fashion image and style note: Is shiny.\n", "Is shiny."),
        ("<|vision_start|><|image_pad|><|vision_end|> the same in blue", "the same in blue"),
        ("make it two things: a cup and a plate", "make it two things: a cup and a plate"),
        (
            "<|image_1|>\nFind a day-to-day image that looks similar to the provided image.\n",
            "Find a day-to-day image that looks similar to the provided image.",
        ),
        ("<|image_1|>\n", ""),
    ],
)
def test_templates_and_tokens_are_taken_off(given, left):
    assert instruction(given) == left
