from __future__ import annotations

import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.report.headline import HEADLINES
from evaluation.report.published import published_beside, published_rows


def test_every_row_names_a_protocol_a_split_and_a_source() -> None:
    rows = published_rows()
    assert len(rows) > 100
    for row in rows:
        known = BENCHMARKS[row.benchmark]
        assert row.protocol in (*known.protocols, "not stated")
        assert row.split in known.splits
        assert len(row.source) > 10
        assert row.values
        assert all(0 <= value <= 100 for value in row.values.values())


def test_rows_without_metric_names_of_ours_are_none() -> None:
    names = {"R@1", "R@5", "R@10", "R@50", "Rsubset@1", "Rsubset@2", "Rsubset@3"}
    assert {name for row in published_rows() if row.benchmark == "cirr" for name in row.values} <= names
    assert "average/R@10" in {name for row in published_rows() if row.benchmark == "fashioniq" for name in row.values}
    assert set(HEADLINES) == set(BENCHMARKS)


def test_a_known_row() -> None:
    (row,) = (
        one
        for one in published_beside("circo", "official", "test").same
        if (one.method, one.backbone) == ("MagicLens", "CLIP L/14") and "FiRE" in one.source
    )
    assert row.values["mAP@5"] == 29.6


def test_only_the_same_protocol_and_split_compare() -> None:
    own = published_beside("fashioniq", "original", "val")
    assert len(own.same) > 30
    assert own.other == ()
    (other,) = published_beside("fashioniq", "val", "val").other
    assert len(other.rows) == len(own.same)
    assert "another protocol: original (gallery of the split file, the reference stays in it)" in other.why
    assert published_beside("fashioniq", "val", "val").same == ()


def test_rows_of_a_server_are_said_to_be() -> None:
    found = published_beside("cirr", "hard", "val")
    assert found.same == ()
    assert "test1, scored by the benchmark's server; this result is val" in found.other[0].why
    soft = published_beside("cirr", "soft", "val").other[0].why
    assert "another protocol: hard" in soft
    assert "another split: test1" in soft


@pytest.mark.parametrize("benchmark", ["lensmith", "mtcir", "gldv2", "dtin"])
def test_benchmarks_without_rows(benchmark: str) -> None:
    found = published_beside(benchmark, "official", "test")
    assert (found.same, found.other) == ((), ())
