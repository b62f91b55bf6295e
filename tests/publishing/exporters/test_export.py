"""Every export format, read back in the way of its consumers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import datasets
import pandas
import pytest
from PIL import Image

from publishing.config import PublishConfig
from publishing.dataset_reader import ImageLookup
from publishing.description import read_description
from publishing.exporters import FORMATS, export
from schemas.errors import ConfigurationError
from schemas.storage import Folder


@pytest.fixture
def exported(tmp_path, dataset):
    """Exports the dataset into a folder that does not exist yet."""

    def run(format):
        result = export(dataset, format, Folder(str(tmp_path / "export")))
        return tmp_path / "export", result

    return run


@pytest.fixture
def by_triplet(corpus):
    return {row["triplet_id"]: row for row in corpus.rows}


def _digest(path: Path) -> str:
    Image.open(path).convert("RGB").load()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_megapairs(exported, corpus):
    """As its trainers do: a line a triplet, image paths below the folder, `hns[0]` the query image."""
    root, result = exported("megapairs")
    assert (result.rows, result.images) == (60, 60)
    records = [one for name in ("", "_validation", "_test") for one in _lines(root / f"megapairs{name}.jsonl")]
    expected = {(row["query_image_id"], row["target_image_id"]): row for row in corpus.rows}
    assert len(records) == len(expected) == 60
    for record in records:
        assert list(record) == ["q_img", "q_text", "t_img", "hns"]
        row = expected[_digest(root / record["q_img"]), _digest(root / record["t_img"])]
        assert record["q_text"] == [one["text"] for one in row["instructions"]]
        assert record["hns"][0] == record["q_img"]
        assert [_digest(root / one) for one in record["hns"]] == row["hard_negatives"]


def test_mtcir(exported, by_triplet):
    """As its readers do: pandas reads the lines, images are opened below the image folder."""
    root, result = exported("mtcir")
    frame = pandas.concat(
        pandas.read_json(path, lines=True, dtype={"id": str}) for path in sorted(root.glob("mtcir*.jsonl"))
    )
    assert result.rows == len(frame) == 60
    for sample in frame.to_dict("records"):
        row = by_triplet[sample["id"]]
        assert _digest(root / sample["image"]) == row["query_image_id"]
        assert _digest(root / sample["target_image"]) == row["target_image_id"]
        assert sample["modifications"] == [one["text"] for one in row["instructions"]]


def test_lasco(exported, by_triplet):
    """As its readers do: JSON arrays of queries, and a corpus that holds every image of the split."""
    root, result = exported("lasco")
    seen = 0
    for split in ("train", "val", "test"):
        corpus = {
            one["image-id"]: one["image-path"] for one in json.loads((root / f"lasco_{split}_corpus.json").read_text())
        }
        for sample in json.loads((root / f"lasco_{split}.json").read_text()):
            row = by_triplet[sample["triplet-id"]]
            assert isinstance(sample["qid"], int)
            for key, column in (("query-image", "query_image_id"), ("target-image", "target_image_id")):
                number, path = sample[key]
                assert corpus[number] == path
                assert _digest(root / path) == row[column]
            assert sample["query-text"] == row["instruction"]
            seen += 1
    assert seen == result.rows == 60


def test_mmeb(exported, corpus, tmp_path):
    """As VLM2Vec does: a subset and a split by `load_dataset`, paths joined with the image folder."""
    root, _ = exported("mmeb")
    cache = str(tmp_path / "cache")
    train = datasets.load_dataset(str(root), "Lensmith", split="original", cache_dir=cache)
    lists = datasets.load_dataset(str(root), "Lensmith_neg", split="original", cache_dir=cache)
    assert len(train) == len(lists) == 2 * 30, "one row a text"
    pairs = {(row["query_image_id"], row["target_image_id"]): row for row in corpus.rows}
    for one, other in zip(train, lists, strict=True):
        assert one["qry"].startswith("<|image_1|>\n")
        assert one["pos_text"].startswith("<|image_1|>\n")
        row = pairs[_digest(root / one["qry_image_path"]), _digest(root / one["pos_image_path"])]
        assert any(text["text"] in one["qry"] for text in row["instructions"])
        assert one["neg_image_path"] == one["qry_image_path"] == other["neg_image_path"][0]
        assert [_digest(root / path) for path in other["neg_image_path"]] == row["hard_negatives"]
        assert len(other["neg_text"]) == len(other["neg_image_path"])
    evaluation = datasets.load_dataset(str(root), "LensmithEval", split="test", cache_dir=cache)
    assert len(evaluation) == 10
    for one in evaluation:
        assert (_digest(root / one["qry_img_path"]), _digest(root / one["tgt_img_path"][0])) in pairs
        assert len(set(one["tgt_img_path"])) == len(one["tgt_text"]) == 10


def test_sentence_transformers(exported, corpus, tmp_path):
    """`load_dataset` gives decoded images in the columns of a loss with negatives, and the trainer's own
    modality check takes the cells."""
    from sentence_transformers.base.modality import infer_modality

    root, result = exported("sentence-transformers")
    read = datasets.load_dataset(str(root), cache_dir=str(tmp_path / "cache"))
    assert sum(len(part) for part in read.values()) == result.rows == 60
    texts = {row["instruction"] for row in corpus.rows}
    for part in read.values():
        assert part.column_names == ["anchor", "positive", "negative"]
        for row in part:
            assert row["anchor"]["text"] in texts
            assert row["anchor"]["image"].tobytes() == row["negative"].tobytes() != row["positive"].tobytes()
    first = read["train"][0]
    assert set(infer_modality(first["anchor"])) == {"text", "image"}
    assert infer_modality(first["positive"]) == "image"


def test_sentence_transformers_of_a_dataset_without_bytes_in_its_triplets(tmp_path, corpus, publish_corpus):
    whole, slim = Folder(str(tmp_path / "whole")), Folder(str(tmp_path / "slim"))
    publish_corpus(corpus, whole)
    config = read_description(whole).config.model_copy(update={"include_bytes": False})
    publish_corpus(corpus, slim, config=PublishConfig(**config.model_dump()))
    export(whole, "sentence-transformers", Folder(str(tmp_path / "a")))
    export(slim, "sentence-transformers", Folder(str(tmp_path / "b")))
    for path in (tmp_path / "a").rglob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_lookup_of_images_by_id(dataset, corpus):
    images = ImageLookup(dataset, read_description(dataset))
    for image_id, data in corpus.images.items():
        assert images.get(image_id)["bytes"] == data
    with pytest.raises(KeyError):
        images.get("f" * 64)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_equal_datasets_give_equal_exports_and_a_full_output_is_refused(tmp_path, dataset, format):
    first, second = Folder(str(tmp_path / "1")), Folder(str(tmp_path / "2"))
    export(dataset, format, first)
    export(dataset, format, second)
    names = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path / "2") for path in (tmp_path / "2").rglob("*") if path.is_file())
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)
    with pytest.raises(ConfigurationError, match="not empty"):
        export(dataset, format, first)


def test_wrong_usage(tmp_path, dataset, corpus, publish_corpus):
    with pytest.raises(ConfigurationError, match="unknown format 'csv'"):
        export(dataset, "csv", Folder(str(tmp_path / "x")))
    with pytest.raises(ConfigurationError, match="no dataset"):
        export(Folder(str(tmp_path)), "mtcir", Folder(str(tmp_path / "x")))
    corpus.rows.clear()
    empty = Folder(str(tmp_path / "empty"))
    publish_corpus(corpus, empty)
    with pytest.raises(ConfigurationError, match="no triplets"):
        export(empty, "mtcir", Folder(str(tmp_path / "x")))
    assert not (tmp_path / "x").exists()
