"""Parquet files as one table: whatever their sizes, row groups and columns."""

from __future__ import annotations

import os
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from training.data.parquet_files import ParquetFiles, below, stamp


def written(folder, sizes, group=3):
    """Files whose column `number` counts from 0 over all of them."""
    paths, start = [], 0
    for place, size in enumerate(sizes):
        numbers = range(start, start + size)
        table = pa.table({"number": pa.array(numbers, pa.int64()), "name": [f"row {one}" for one in numbers]})
        pq.write_table(table, path := folder / f"part-{place}.parquet", row_group_size=group)
        paths.append(path)
        start += size
    return paths


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 10), st.data())
def test_any_rows_are_those_of_the_files_one_after_the_other(tmp_path, sizes, group, data):
    found, total = ParquetFiles(written(tmp_path, sizes, group)), sum(sizes)
    assert len(found) == total
    if total:
        start = data.draw(st.integers(0, total - 1))
        stop = data.draw(st.integers(start + 1, total))
        part = found.rows(start, stop, ["number"])
        assert part["number"].to_pylist() == list(range(start, stop))
        assert part.column_names == ["number"]
    for row in range(total):
        number, within = found.group_of(row)
        assert found.group(number, ["number"])["number"][within].as_py() == row


def test_a_part_of_a_large_row_group_is_cut_at_any_row(tmp_path):
    found = ParquetFiles(written(tmp_path, [20_000, 5], 100_000))
    for start, stop in ((0, 1), (8191, 8193), (8192, 16_384), (19_999, 20_003), (0, 20_005)):
        assert found.rows(start, stop, ["number"])["number"].to_pylist() == list(range(start, stop))


def test_a_copy_in_another_process_reads_the_same(tmp_path):
    found = ParquetFiles(written(tmp_path, [4, 4]))
    found.rows(0, 8, ["number"])
    again = pickle.loads(pickle.dumps(found))
    assert again.rows(2, 7, ["name"]) == found.rows(2, 7, ["name"])
    assert again.describe(5) == f"row 1 of row group 0 of {tmp_path / 'part-1.parquet'}"


def test_a_file_that_breaks_off_has_a_sentence_that_names_it(tmp_path):
    paths = written(tmp_path, [40, 40])
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match=r"cannot read .*part-1\.parquet: "):
        ParquetFiles(paths)


def test_a_page_that_was_overwritten_has_a_sentence_when_it_is_read(tmp_path):
    paths = written(tmp_path, [40, 40], 40)
    found = ParquetFiles(paths)
    whole = bytearray(paths[1].read_bytes())
    whole[4:60] = b"\xff" * 56
    paths[1].write_bytes(whole)
    assert len(found.rows(0, 40, ["number"])) == 40
    for start in (40, 45):
        with pytest.raises(ConfigurationError, match=r"cannot read .*part-1\.parquet: "):
            found.rows(start, 80, ["number"])


def test_a_file_that_was_taken_away_has_a_sentence(tmp_path):
    paths = written(tmp_path, [4, 4])
    found = ParquetFiles(paths)
    paths[1].unlink()
    with pytest.raises(ConfigurationError, match=r"cannot read .*part-1\.parquet"):
        found.rows(2, 6, ["number"])


def test_columns_that_one_file_lacks_are_null_there(tmp_path):
    paths = written(tmp_path, [3, 3])
    pq.write_table(pa.table({"number": [3, 4, 5], "more": ["a", "b", "c"]}), paths[1])
    found = ParquetFiles(paths).rows(1, 5, ["number", "name", "more"])
    assert found["name"].to_pylist() == ["row 1", "row 2", None, None]
    assert found["more"].to_pylist() == [None, None, "a", "b"]


def test_columns_of_different_kinds_have_a_sentence(tmp_path):
    paths = written(tmp_path, [3, 3])
    pq.write_table(pa.table({"number": [{"a": 1}] * 3}), paths[1])
    found = ParquetFiles(paths)
    assert len(found.rows(0, 3, ["number"])) == 3
    with pytest.raises(ConfigurationError, match=r"have columns of different kinds .*one schema"):
        found.rows(2, 4, ["number"])


def test_the_stamp_changes_with_any_file(tmp_path):
    paths = written(tmp_path, [3, 3])
    before = stamp(paths)
    assert stamp(paths) == before
    os.utime(paths[0], ns=(1, 1))
    touched = stamp(paths)
    assert stamp(paths[:1]) != touched != before
    (tmp_path / "ids").mkdir()
    assert below(tmp_path, "ids", "*.parquet") == below(tmp_path, "nowhere", "*.parquet") == []
