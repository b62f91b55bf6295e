"""Planning of output files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publishing.layout import Estimate, empty_file, file_name, plan_files
from schemas.published import SPLITS

estimates = st.lists(st.tuples(st.sampled_from(SPLITS), st.integers(0, 50), st.integers(0, 5000)), max_size=30).map(
    lambda items: [Estimate(f"s{i}", split, rows, rows * size) for i, (split, rows, size) in enumerate(items)]
)


@settings(deadline=None, max_examples=60)
@given(estimates, st.integers(1, 40_000))
def test_every_row_is_in_exactly_one_file_in_the_given_order(given_estimates, target):
    planned = plan_files("data", given_estimates, target)
    for split in SPLITS:
        rows = [
            (part.shard, row)
            for one in planned
            if one.split == split
            for part in one.parts
            for row in range(part.start, part.stop)
        ]
        assert rows == [(one.shard, row) for one in given_estimates if one.split == split for row in range(one.rows)]


@settings(deadline=None, max_examples=60)
@given(estimates, st.integers(1, 40_000))
def test_files_are_at_most_the_target_and_a_row_and_never_empty(given_estimates, target):
    planned = plan_files("data", given_estimates, target)
    largest_row = max((one.bytes / one.rows for one in given_estimates if one.rows), default=0)
    assert all(one.rows > 0 for one in planned)
    assert all(one.bytes <= max(target, largest_row) + largest_row + 1 for one in planned)
    assert len({one.name for one in planned}) == len(planned)


@settings(deadline=None, max_examples=60)
@given(estimates, st.integers(1, 40_000))
def test_names_count_the_files_of_a_split_without_gaps(given_estimates, target):
    planned = plan_files("data", given_estimates, target)
    for split in SPLITS:
        names = [one.name for one in planned if one.split == split]
        assert names == [file_name("data", split, index, len(names)) for index in range(len(names))]


def test_one_large_shard_is_cut_and_small_ones_share_a_file():
    planned = plan_files("data", [Estimate("big", "train", 100, 1000), Estimate("small", "train", 10, 100)], 400)
    assert [one.name for one in planned] == [f"data/train-{i:05d}-of-00003.parquet" for i in range(3)]
    assert planned[-1].parts[-1].shard == "small"
    assert [part.shard for part in planned[0].parts] == ["big"]


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="unknown split"):
        plan_files("data", [Estimate("s", "dev", 1, 1)], 10)


def test_the_empty_file_belongs_to_train():
    assert empty_file("ids") == "ids/train-00000-of-00001.parquet"
