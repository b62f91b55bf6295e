"""Splits by hash, and near duplicates that share one."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publishing.config import PublishConfig, SplitShares
from publishing.splits import (
    near_duplicate_groups,
    phash_bands,
    phash_distance,
    split_of_unit,
    split_unit,
    strictest,
    strictest_of_near_duplicates,
)

hashes = st.integers(0, 2**64 - 1)


def _hex(value: int) -> str:
    return f"{value:016x}"


def test_shares_are_met_and_a_seed_changes_them():
    shares = SplitShares(train=0.8, validation=0.1, test=0.1)
    units = [f"site{i}.example" for i in range(5000)]
    counts = Counter(split_of_unit(0, unit, shares) for unit in units)
    assert counts["train"] == pytest.approx(4000, abs=120)
    assert counts["test"] == pytest.approx(500, abs=90)
    assert [split_of_unit(0, unit, shares) for unit in units] != [split_of_unit(1, unit, shares) for unit in units]


def test_known_units_keep_their_split_for_ever():
    """These values are a promise to datasets that were published: a change here breaks `--extend`."""
    shares = SplitShares(train=0.5, validation=0.25, test=0.25)
    assert [split_of_unit(0, f"site{i}.example", shares) for i in range(8)] == PINNED


PINNED = ["train", "validation", "train", "validation", "train", "train", "test", "train"]


def test_all_in_one_split():
    shares = SplitShares(train=1.0, validation=0.0, test=0.0)
    assert {split_of_unit(0, str(i), shares) for i in range(200)} == {"train"}


def test_shares_must_add_up():
    with pytest.raises(ValueError, match="add up to"):
        SplitShares(train=0.9, validation=0.9, test=0.1)


def test_the_unit_is_the_site_or_the_page():
    assert split_unit(PublishConfig(), "a.example", "https://a.example/x") == "a.example"
    assert split_unit(PublishConfig(split_unit="page"), "a.example", "https://a.example/x") == "https://a.example/x"


def test_strictest():
    assert strictest(["train", "test", "validation"]) == "test"
    assert strictest(["train", "validation"]) == "validation"
    with pytest.raises(ValueError, match="empty"):
        strictest([])


@settings(deadline=None, max_examples=60)
@given(hashes, st.sets(st.integers(0, 63), max_size=3))
def test_hashes_within_three_bits_share_a_band(value, flipped):
    other = value
    for bit in flipped:
        other ^= 1 << bit
    assert phash_distance(_hex(value), _hex(other)) == len(flipped)
    assert set(phash_bands(_hex(value))) & set(phash_bands(_hex(other)))


@settings(deadline=None, max_examples=60)
@given(st.lists(hashes, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_groups_are_the_components_of_the_near_relation(values, rng):
    near = [value ^ sum(1 << bit for bit in rng.sample(range(64), rng.randint(0, 5))) for value in values]
    phashes = [_hex(value) for value in values + near]
    groups = near_duplicate_groups(phashes)
    assert groups == _components(phashes)


def test_many_hashes_in_one_band_are_grouped_in_time_and_without_loss():
    """3,000 hashes that share their first 16 bits, in 1,000 chains of three."""
    rng = random.Random(0)
    phashes = []
    for _ in range(1000):
        value = rng.getrandbits(48)
        chain = [value, value ^ 0b111, value ^ 0b111 ^ (0b11 << 30)]
        phashes += [_hex(one) for one in chain]
    groups = near_duplicate_groups(phashes)
    assert groups[0::3] == groups[1::3] == groups[2::3]
    assert len(set(groups)) == 1000


def test_near_duplicates_take_the_strictest_split_of_their_group():
    members = [
        ("a", _hex(0), "train"),
        ("b", _hex(1), "test"),
        ("c", _hex(7 << 40), "validation"),
        ("d", _hex(~0 & (2**64 - 1)), "train"),
    ]
    assert strictest_of_near_duplicates(members) == {"a": "test", "b": "test", "c": "test", "d": "train"}
    assert strictest_of_near_duplicates(members, distance=0) == {one: split for one, _, split in members}


def _components(phashes):
    groups = list(range(len(phashes)))
    changed = True
    while changed:
        changed = False
        for i, first in enumerate(phashes):
            for j, second in enumerate(phashes):
                low = min(groups[i], groups[j])
                if groups[i] != groups[j] and phash_distance(first, second) <= 3:
                    groups[i] = groups[j] = low
                    changed = True
    return groups
