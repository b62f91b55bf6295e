"""The writer of one parquet file of a configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from publishing.config import PublishConfig
from publishing.dataset_writer import sort_key, write_file
from schemas import ids
from schemas.published import IDS, IMAGES, PUBLISHED, TRIPLETS
from schemas.storage import Folder

SMALL_GROUPS = PublishConfig(row_group_min_bytes=40_000, row_group_max_bytes=60_000)


def _triplets(folder, corpus, config=SMALL_GROUPS, name="data/train.parquet"):
    return write_file(folder, name, TRIPLETS, sorted(corpus.rows, key=sort_key), corpus.fetch, config)


def test_a_reader_without_our_code_gets_decoded_images_and_all_columns(tmp_path, corpus):
    _triplets(Folder(str(tmp_path)), corpus)
    read = datasets.load_dataset("parquet", data_files=str(tmp_path / "data/*.parquet"), cache_dir=str(tmp_path / "c"))
    table = read["train"]
    assert table.column_names == TRIPLETS.schema.names
    rows = {row["triplet_id"]: row for row in corpus.rows}
    assert {row["triplet_id"] for row in table} == rows.keys()
    for row in table:
        assert row["query_image"].size == (96, 64)
        assert row["instructions"] == [
            {**one, "score": pytest.approx(one["score"])} for one in rows[row["triplet_id"]]["instructions"]
        ]
        assert row["crawl_date"] == rows[row["triplet_id"]]["crawl_date"]
    raw = table.cast_column("target_image", datasets.Image(decode=False))
    for row in raw:
        assert hashlib.sha256(row["target_image"]["bytes"]).hexdigest() == row["target_image_id"]
        assert row["target_image"]["path"].startswith(row["target_image_id"])
        assert row["target_image"]["path"].endswith((".png", ".jpg"))


def test_equal_rows_give_equal_bytes_and_the_digest_is_the_file_s(tmp_path, corpus):
    folder = Folder(str(tmp_path))
    first = _triplets(folder, corpus, name="a.parquet")
    second = _triplets(folder, corpus, name="b.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    assert data == (tmp_path / "b.parquet").read_bytes()
    assert first.digest == second.digest == hashlib.sha256(data).hexdigest()
    assert (first.rows, first.bytes) == (60, len(data))


def test_row_groups_close_by_bytes_and_by_rows(tmp_path, corpus):
    folder = Folder(str(tmp_path))
    _triplets(folder, corpus)
    groups = _group_sizes(tmp_path / "data/train.parquet")
    assert len(groups) > 3
    assert all(size <= 60_000 for _, size in groups)
    assert all(size >= 20_000 for _, size in groups[:-1])
    config = PublishConfig(row_group_rows=7)
    write_file(folder, "ids.parquet", IDS, corpus.rows, config=config)
    assert [rows for rows, _ in _group_sizes(tmp_path / "ids.parquet")] == [7] * 8 + [4]


def test_an_image_of_several_rows_is_stored_once_in_a_row_group(tmp_path, corpus):
    """Forty rows that show one query image: the file holds it once, and the dictionary does not fall back."""
    page = corpus.rows[:5]
    query = max(corpus.images, key=lambda one: len(corpus.images[one]))
    big = corpus.images[query] + bytes(3_000_000)  # larger than pyarrow's default dictionary limit of 1 MiB
    big_id = ids.image_id(big)
    corpus.images[big_id] = big
    rows = [
        row | {"query_image_id": big_id, "triplet_id": f"{n:02d}{row['triplet_id']}"} for row in page for n in range(8)
    ]
    written = write_file(Folder(str(tmp_path)), "t.parquet", TRIPLETS, rows, corpus.fetch)
    assert written.bytes < 2 * len(big)
    metadata = pq.ParquetFile(tmp_path / "t.parquet").metadata
    assert metadata.num_row_groups == 1
    column = metadata.row_group(0).column(1)
    assert column.path_in_schema == "query_image.bytes"
    assert column.total_uncompressed_size < len(big) + 10_000


def test_images_are_asked_for_in_small_batches_and_not_again_within_a_row_group(tmp_path, corpus):
    write_file(Folder(str(tmp_path)), "t.parquet", TRIPLETS, sorted(corpus.rows, key=sort_key), corpus.fetch)
    assert max(corpus.asked) <= 64
    assert sum(corpus.asked) == 60


@pytest.mark.parametrize("configuration", PUBLISHED, ids=lambda one: one.name)
def test_no_rows_give_a_file_with_the_schema(tmp_path, corpus, configuration):
    written = write_file(Folder(str(tmp_path)), "e.parquet", configuration, [], corpus.fetch)
    assert written.rows == 0
    schema = pq.read_schema(tmp_path / "e.parquet")
    assert schema.equals(configuration.schema)
    assert schema.metadata == configuration.schema.metadata


def test_images_are_written_from_their_rows(tmp_path, corpus):
    rows = corpus.image_rows(corpus.rows)
    write_file(Folder(str(tmp_path)), "i.parquet", IMAGES, rows, corpus.fetch, SMALL_GROUPS)
    table = pq.read_table(tmp_path / "i.parquet").to_pylist()
    assert [row["image_id"] for row in table] == sorted(corpus.images)
    assert all(hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["image_id"] for row in table)


def test_a_failure_half_way_leaves_no_file(tmp_path, corpus):
    def broken(wanted):
        raise KeyError(wanted[0])

    with pytest.raises(KeyError):
        write_file(Folder(str(tmp_path)), "x.parquet", TRIPLETS, corpus.rows, broken)
    assert not (tmp_path / "x.parquet").exists()


def test_features_in_the_metadata_are_those_that_datasets_derives(tmp_path):
    for configuration in PUBLISHED:
        features = datasets.Features.from_arrow_schema(configuration.schema)
        assert list(features) == configuration.schema.names
        assert features.arrow_schema.equals(configuration.schema)
        assert configuration.docs.keys() == set(configuration.schema.names)
        assert all(isinstance(features[column], datasets.Image) for column in configuration.image_columns)


def _group_sizes(path: Path) -> list[tuple[int, int]]:
    metadata = pq.ParquetFile(path).metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return [(group.num_rows, group.total_byte_size) for group in groups]
