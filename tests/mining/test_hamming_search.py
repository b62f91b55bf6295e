"""Pairs of hashes within a distance: equal to comparing all with all, however the hashes lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining import multi_index
from mining.hamming_search import band_keys, matches_within, nearest_within, pairs_within
from mining.multi_index import MAX_DISTANCE, near_values

ALL = 2**64 - 1
distances = st.integers(0, MAX_DISTANCE)
#: Few bits that vary, so that hashes often meet; whole hashes; the ends of the range.
hashes = st.one_of(
    st.integers(0, 63),
    st.integers(0, 2**64 - 1),
    st.integers(0, 255).map(lambda value: ALL ^ (value << 29)),
    st.sampled_from([0, ALL, 1 << 63, 0x5555555555555555]),
)


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.bitwise_count(one[:, None] ^ other[None, :])


def _brute_pairs(values: np.ndarray, distance: int) -> set[tuple[int, int, int]]:
    distinct = np.unique(values)
    differ = _differ(distinct, distinct)
    one, other = np.nonzero(np.triu(differ <= distance, 1))
    return {
        (int(distinct[i]), int(distinct[j]), int(differ[i, j]))
        for i, j in zip(one.tolist(), other.tolist(), strict=True)
    }


def _pairs(values: np.ndarray, distance: int) -> list[tuple[int, int, int]]:
    found = pairs_within(values, distance)
    assert np.array_equal(found.distinct[found.numbers], values)
    return [
        (int(found.distinct[i]), int(found.distinct[j]), int(bits))
        for i, j, bits in zip(found.first, found.second, found.distances, strict=True)
    ]


def clusters(rng: np.random.Generator, count: int, flips: int) -> np.ndarray:
    """Hashes around a power law of centres, repeats among them."""
    centres = rng.integers(0, 2**64, max(count // 4, 1), dtype=np.uint64)
    made = centres[(len(centres) * rng.random(count) ** 3).astype(np.int64)]
    for number in range(flips):
        bits = np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
        made = np.where(rng.random(count) < 1 / (number + 1), made ^ bits, made)
    return made


ADVERSARIAL = {
    "counting": np.arange(900, dtype=np.uint64),
    "counting above": np.arange(900, dtype=np.uint64) << np.uint64(50),
    "counting with ones": ~(np.arange(900, dtype=np.uint64) << np.uint64(27)),
    "single bits": np.uint64(1) << np.arange(64, dtype=np.uint64),
    "rising ones": np.array([(1 << bits) - 1 for bits in range(65)], np.uint64),
    "every fourth bit": np.array([sum(1 << 4 * i for i in range(16) if n >> i & 1) for n in range(800)], np.uint64),
    "one in each block": np.array([1 << (i % 64) | 1 << ((i * 7 + 16) % 64) for i in range(500)], np.uint64),
}


@settings(deadline=None, max_examples=80)
@given(st.lists(hashes, max_size=60), distances)
def test_pairs_are_those_of_comparing_all_with_all(values, distance):
    array = np.array(values, np.uint64)
    found = _pairs(array, distance)
    assert len(set(found)) == len(found)
    assert set(found) == _brute_pairs(array, distance)
    assert found == sorted(found)


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 4, 6, 9, 12, 15])
def test_tables_runs_and_recursion_lose_nothing_and_repeat_nothing(distance, monkeypatch):
    """Cut however small the set, with runs of thirty searched on."""
    monkeypatch.setattr(multi_index, "_PLAIN", 100.0)
    monkeypatch.setattr(multi_index, "_MOST_TABLES", 20)
    monkeypatch.setattr(multi_index, "_CHUNK", 900)
    rng = np.random.default_rng(distance)
    small = {name: values[:: 1 + distance // 4][:70] for name, values in ADVERSARIAL.items()}
    for name, values in {**small, "clusters": clusters(rng, 150, 9)}.items():
        found = _pairs(values, distance)
        assert len(set(found)) == len(found), name
        assert set(found) == _brute_pairs(values, distance), name


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 5, 8, 15])
def test_larger_sets_with_a_power_law_of_repeats(distance):
    values = clusters(np.random.default_rng(distance), 6000, 7)
    found = _pairs(values, distance)
    assert set(found) == _brute_pairs(values, distance)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
@pytest.mark.parametrize("distance", [1, 3, 6])
def test_adversarial_hashes(name, distance):
    assert set(_pairs(ADVERSARIAL[name], distance)) == _brute_pairs(ADVERSARIAL[name], distance)


@settings(deadline=None, max_examples=80)
@given(st.lists(hashes, max_size=40), st.lists(hashes, max_size=40), distances)
def test_matches_between_two_sets(queries, known, distance):
    asked, others = np.array(queries, np.uint64), np.array(known, np.uint64)
    found = matches_within(asked, others, distance)
    expected = sorted(
        (row, (one ^ other).bit_count(), known.index(other))
        for row, one in enumerate(queries)
        for other in set(known)
        if (one ^ other).bit_count() <= distance
    )
    got = list(zip(found.queries.tolist(), found.distances.tolist(), found.hashes.tolist(), strict=True))
    assert got == expected
    nearest, bits = nearest_within(asked, others, distance)
    for row in range(len(queries)):
        mine = [(number, differ) for query, differ, number in expected if query == row]
        assert (int(nearest[row]), int(bits[row])) == (mine[0] if mine else (-1, 255))


@pytest.mark.parametrize("distance", [0, 2, 4, 9])
def test_matches_of_larger_sets_by_tables(distance, monkeypatch):
    monkeypatch.setattr(multi_index, "_PLAIN", 50.0)
    monkeypatch.setattr(multi_index, "_CHUNK", 500)
    rng = np.random.default_rng(distance)
    centres = clusters(rng, 500, 4)
    asked = np.concatenate([centres, rng.integers(0, 2**64, 300, dtype=np.uint64)])
    known = np.concatenate([centres[::2] ^ np.uint64(0b101 << 40), clusters(rng, 1500, 3), centres[:50]])
    found = matches_within(asked, known, distance)
    differ = _differ(asked, known)
    first = np.unique(known, return_index=True)[1]
    rows, columns = np.nonzero(differ[:, np.sort(first)] <= distance)
    expected = set(zip(rows.tolist(), np.sort(first)[columns].tolist(), strict=True))
    assert set(zip(found.queries.tolist(), found.hashes.tolist(), strict=True)) == expected
    assert len(found.queries) == len(expected)
    assert np.array_equal(found.distances, differ[found.queries, found.hashes])
    nearest, bits = nearest_within(asked, known, distance)
    assert np.array_equal(nearest, np.where(differ.min(axis=1) <= distance, differ.argmin(axis=1), -1))
    assert np.array_equal(bits, np.where(nearest >= 0, differ.min(axis=1), 255))


def test_a_hash_that_a_million_images_have_costs_as_much_as_one():
    values = np.concatenate([np.full(1_000_000, 7, np.uint64), np.array([6, 5, 1 << 40], np.uint64)])
    found = pairs_within(values, 3)
    assert found.distinct.tolist() == [5, 6, 7, 1 << 40]
    pairs = zip(found.first.tolist(), found.second.tolist(), found.distances.tolist(), strict=True)
    assert list(pairs) == [(0, 1, 2), (0, 2, 1), (0, 3, 3), (1, 2, 1), (1, 3, 3)]
    assert nearest_within(values, np.array([4, 7, 7], np.uint64), 3)[0][:3].tolist() == [1, 1, 1]


def test_many_hashes_that_differ_in_few_bits_only():
    """All of 2**14 hashes lie in one run of every block but two or three."""
    values = np.arange(1 << 14, dtype=np.uint64) << np.uint64(33)
    count = sum(len(one) for one, _ in near_values(values, 2))
    assert count == (1 << 14) * (14 + 91) // 2


@settings(deadline=None, max_examples=200)
@given(hashes, st.sets(st.integers(0, 63), max_size=MAX_DISTANCE), distances)
def test_hashes_within_the_distance_share_a_key(value, flipped, distance):
    other = value
    for bit in sorted(flipped)[:distance]:
        other ^= 1 << bit
    keys = band_keys(value, distance)
    assert len(set(keys)) == distance + 1
    assert set(keys) & set(band_keys(other, distance))


def test_keys_hold_all_bits():
    for distance in range(MAX_DISTANCE + 1):
        assert all(
            len(set(band_keys(0, distance)) & set(band_keys(1 << bit, distance))) == distance for bit in range(64)
        )


@pytest.mark.parametrize("distance", [-1, 16])
def test_other_distances_are_refused(distance):
    with pytest.raises(ValueError, match="0 to 15 bits"):
        pairs_within(np.zeros(2, np.uint64), distance)
    with pytest.raises(ValueError, match="0 to 15 bits"):
        band_keys(0, distance)


def test_nothing_is_near_nothing():
    none = np.zeros(0, np.uint64)
    assert len(pairs_within(none, 3).first) == 0
    assert len(matches_within(none, np.ones(3, np.uint64), 3).queries) == 0
    assert nearest_within(np.ones(2, np.uint64), none, 3)[0].tolist() == [-1, -1]
