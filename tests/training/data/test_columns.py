"""Columns as people write them: other types, nulls, files that differ."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigurationError
from training.config import DataConfig
from training.data.image_store import ParquetImages
from training.data.triplet_table import TripletTable

BASE = {"triplet_id": "t0", "query_image_id": "a", "target_image_id": "b", "instruction": "in red"}


def numbers(names):
    return np.array([{"a": 0, "b": 1, "c": 2}.get(one, -1) for one in names], np.int64)


def table(root, *files, **settings):
    """A table of files, each of rows or of what pyarrow made of them."""
    paths = []
    for number, rows in enumerate(files):
        made = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
        pq.write_table(made, path := root / f"train-{number}.parquet")
        paths.append(path)
    return TripletTable(paths, DataConfig(**settings), numbers)


def kept(found):
    return [one.row_id for one in found.all_rows()]


def test_rows_of_a_page_are_known_where_the_first_file_names_none(tmp_path):
    found = table(tmp_path, [BASE], [BASE | {"page_id": "p"}, BASE | {"page_id": "p"}])
    assert found.page_counts(0).tolist() == [1, 2]
    assert len({one.page for one in found.all_rows()}) == 2


def test_a_bound_is_a_number_of_the_column(tmp_path):
    """0.1 of float32 is a little more than 0.1, 0.7 a little less: both are within windows that end there."""
    similar = pa.array([0.1, 0.7, None, float("nan")], pa.float32())
    rows = pa.Table.from_pylist([BASE | {"triplet_id": f"t{one}"} for one in range(4)]).append_column("s", similar)
    for where, ids in (
        ({"max": 0.1}, ["t0"]),
        ({"min": 0.1}, ["t0", "t1"]),
        ({"min": 0.7}, ["t1"]),
        ({"min": 0.1, "max": 0.7}, ["t0", "t1"]),
        ([0.7], ["t1"]),
        ({"max": 1}, ["t0", "t1"]),
        ([None], ["t2"]),
    ):
        found = table(tmp_path, rows, where={"s": where})
        assert kept(found) == ids, where
        assert found.counts().filtered == 4 - len(ids)


def test_nulls_and_dates_are_asked_for(tmp_path):
    day = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
    rows = [
        BASE | {"triplet_id": f"t{number}", "license": license, "crawl_date": day + datetime.timedelta(number)}
        for number, license in enumerate(["cc-by", None, "other", "cc-by"])
    ]
    assert kept(table(tmp_path, rows, where={"license": ["cc-by"]})) == ["t0", "t3"]
    assert kept(table(tmp_path, rows, where={"license": None})) == ["t1"]
    assert kept(table(tmp_path, rows, where={"license": [None, "other"]})) == ["t1", "t2"]
    assert kept(table(tmp_path, rows, where={"license": []})) == []
    assert kept(table(tmp_path, rows, where={"crawl_date": {"min": datetime.date(2024, 5, 3)}})) == ["t2", "t3"]


def test_a_column_of_nulls_alone_matches_nothing_but_null(tmp_path):
    files = [BASE | {"license": None}], [BASE | {"license": "cc", "triplet_id": "t1"}]
    assert kept(table(tmp_path, *files, window=1, where={"license": ["cc"]})) == ["t1"]
    assert kept(table(tmp_path, *files, window=1, where={"license": None})) == ["t0"]
    assert kept(table(tmp_path, files[0], where={"license": {"min": 1}})) == []


def test_lists_with_nothing_in_them(tmp_path):
    odd = [
        BASE | {"instructions": [None, {"text": "in a dark red"}, {"text": None}], "hard_negatives": [None, "c", ""]},
        BASE | {"instructions": [], "hard_negatives": None},
    ]
    first, second = table(tmp_path, odd).all_rows()
    assert (first.texts, first.negatives) == (("in red", "in a dark red"), (2,))
    assert (second.texts, second.negatives) == (("in red",), ())
    for empty in ([], None):
        found = table(tmp_path, [BASE | {"instructions": empty}])
        assert next(found.all_rows()).texts == ("in red",)
        listed = [BASE | {"instructions": [{"text": "in red", "length": "short"}], "triplet_id": "t1"}]
        both = table(tmp_path, [BASE | {"instructions": empty}], listed, texts={"only": {"length": ["short"]}})
        assert kept(both) == ["t1"]
        assert both.counts().no_text == 1


def test_texts_of_other_arrow_types_are_texts(tmp_path):
    plain = pa.Table.from_pylist([BASE, BASE | {"instruction": None}])
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        found = table(tmp_path, pa.table({name: plain[name].cast(kind) for name in plain.column_names}))
        assert [one.texts for one in found.all_rows()] == [("in red",)]
        assert found.counts().no_text == 1
    empty = table(tmp_path, [BASE | {"instruction": None}])
    assert (empty.counts().no_text, empty.counts().kept) == (1, 0)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"page_id": 3}, r"the column page_id of .* is int64: it must hold texts"),
        ({"triplet_id": 3}, r"the column triplet_id of .* is int64"),
        ({"target_image_id": b"b"}, r"the column target_image_id of .* is binary"),
        ({"query_text": ["a"]}, r"the column query_text of .* is list"),
        ({"hard_negatives": "c"}, r"the column hard_negatives of .* must hold lists of image ids"),
        ({"hard_negatives": [3]}, r"the column hard_negatives of .* must hold lists of image ids"),
        ({"instructions": "in red"}, r"the column instructions of .* must be a list of objects"),
    ],
)
def test_columns_of_other_types_have_a_sentence(tmp_path, other, says):
    with pytest.raises(ConfigurationError, match=says):
        table(tmp_path, [BASE], [BASE | other])


def test_files_that_do_not_go_together_have_a_sentence(tmp_path):
    files = [BASE | {"instructions": [{"text": "a", "score": "1"}]}], [BASE | {"instructions": [{"text": 1.0}]}]
    with pytest.raises(ConfigurationError, match="have columns of different kinds"):
        list(table(tmp_path, *files).all_rows())


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"image_id": ["a"], "image": [b"bytes"]}, r"the column image of .* is binary: it must hold objects"),
        ({"image_id": ["a"], "image": [{"path": "a.png"}]}, r"the column image of .* must hold objects with bytes"),
        ({"image_id": [1], "image": [{"bytes": b"1"}]}, r"the column image_id of .* is int64: it must hold texts"),
        ({"image_id": ["a", None], "image": [{"bytes": b"1"}] * 2}, "has an image without image_id"),
    ],
)
def test_images_of_other_types_have_a_sentence(tmp_path, columns, says):
    pq.write_table(pa.table(columns), path := tmp_path / "train-0.parquet")
    with pytest.raises(ConfigurationError, match=says):
        ParquetImages([path], tmp_path / "index")
    assert not (tmp_path / "index").exists()
