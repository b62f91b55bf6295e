"""What `lensmith export` writes of a published dataset gives the same pairs, texts and hard negatives here."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from publishing.exporters import export
from schemas.storage import Folder
from training.config import DataConfig
from training.data.image_store import FolderImages
from training.data.layouts import converted, find_layout
from training.data.string_table import StringTable
from training.data.triplet_table import TripletTable

_PUBLISHED = Path(__file__).parents[3] / "publishing" / "conftest.py"


def _published():
    """The published corpus that the tests of the exporters use."""
    if "published_corpus" not in sys.modules:
        spec = importlib.util.spec_from_file_location("published_corpus", _PUBLISHED)
        sys.modules["published_corpus"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["published_corpus"])
    return sys.modules["published_corpus"]


@pytest.fixture(scope="module")
def corpus_and_dataset(tmp_path_factory):
    published = _published()
    corpus, folder = published.build_corpus(), Folder(str(tmp_path_factory.mktemp("published") / "dataset"))
    published.publish(corpus, folder)
    return corpus, folder


def _expected(corpus, format, split, rows):
    """What a format can say: for LaSCo one text and no hard negatives, for MTCIR none, for MMEB's test none."""
    wanted = {}
    for row in corpus.rows:
        texts = [one["text"] for one in row["instructions"]]
        negatives = [one for one in row["hard_negatives"] if one != row["query_image_id"]]
        pair = (row["query_image_id"], row["target_image_id"])
        only_first = format == "lasco" or (format == "mmeb" and split == "test")
        has_negatives = format in ("megapairs", "mmeb") and not (format == "mmeb" and split == "test")
        wanted[pair] = (texts[:1] if only_first else texts, negatives if has_negatives else [])
    return {pair: wanted[pair] for pair in rows}


@pytest.mark.parametrize("format", ["megapairs", "mmeb", "lasco", "mtcir"])
def test_round_trip(corpus_and_dataset, tmp_path, format):
    corpus, dataset = corpus_and_dataset
    root = tmp_path / "export"
    export(dataset, format, Folder(str(root)))
    layout = find_layout(root)
    assert layout.name == format
    assert sorted(layout.splits(root)) == ["test", "train", "validation"]
    seen, ids = [], []
    for split in ("train", "validation", "test"):
        made = converted(root, layout, split, tmp_path / "work")
        assert not made.tally.rejected

        def image(name):
            return hashlib.sha256((root / name).read_bytes()).hexdigest()

        rows = {}
        for row in pq.read_table(made.ids).to_pylist():
            texts = [one["text"] for one in row["instructions"]]
            assert row["instruction"] == texts[0]
            ids.append(row["triplet_id"])
            rows[image(row["query_image_id"]), image(row["target_image_id"])] = (
                texts,
                [image(one) for one in row["hard_negatives"]],
            )
        assert rows == _expected(corpus, format, split, rows)
        seen += rows
    assert sorted(seen) == sorted((row["query_image_id"], row["target_image_id"]) for row in corpus.rows)
    if format in ("lasco", "mtcir"):
        assert sorted(ids) == sorted(row["triplet_id"] for row in corpus.rows), "they lead back to the dataset"
    else:
        assert len(set(ids)) == len(corpus.rows)


def test_training_reads_the_rows_and_the_images(corpus_and_dataset, tmp_path):
    """Windows of rows with numbers of images, each of which is the file that the exporter wrote."""
    corpus, dataset = corpus_and_dataset
    root = tmp_path / "export"
    export(dataset, "megapairs", Folder(str(root)))
    made = converted(root, find_layout(root), "train", tmp_path / "work")
    images = FolderImages(made.folder, StringTable(made.images))
    table = TripletTable([made.ids], DataConfig(window=7), images.numbers)
    pairs = {(row["query_image_id"], row["target_image_id"]): row for row in corpus.rows}
    count = 0
    for row in table.all_rows():
        query, target, *negatives = (
            hashlib.sha256(images.file(one)).hexdigest() for one in (row.query, row.target, *row.negatives)
        )
        expected = pairs[query, target]
        assert list(row.texts) == [one["text"] for one in expected["instructions"]]
        assert negatives == expected["hard_negatives"][1:]
        count += 1
    assert count == made.tally.triplets == 30
    with pytest.raises(IndexError):
        images.file(len(images))
    assert (images.numbers(["no/such.png"]) == np.array([-1])).all()
