"""Intervals and agreement against values worked by hand and published ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publishing.judging.agreement import cohens_kappa, wilson


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # By hand: half of 4 is 1/2 ± z / (2 √(4 + z²)), and all of n begins at n / (n + z²).
        (2, 4, 0.1500, 0.8500),
        (5, 5, 0.5655, 1.0),
    ],
)
def test_wilson_s_interval(successes, total, low, high):
    assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_no_share_has_no_interval(successes, total):
    with pytest.raises(ValueError, match="is no share"):
        wilson(successes, total)


@given(st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_intervals_hold_their_share_and_mirror(pair):
    successes, total = pair
    low, high = wilson(successes, total)
    assert 0 <= low <= successes / total + 1e-12
    assert successes / total - 1e-12 <= high <= 1
    mirrored = wilson(total - successes, total)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def said(**counts):
    """Two judges' answers from counts of pairs, such as gp=3 (first good, second partly)."""
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        # Agreed 35 of 50; by chance 0.5 · 0.6 + 0.5 · 0.4 = 0.5.
        ({"gg": 20, "gf": 5, "fg": 10, "ff": 15}, 0.4),
        # Agreed 7 of 10; by chance (4·4 + 3·4 + 3·2) / 100 = 0.34.
        ({"gg": 3, "pp": 3, "ff": 1, "gf": 1, "fg": 1, "fp": 1}, 0.36 / 0.66),
        ({"gg": 4, "ff": 6}, 1.0),
        ({"gf": 5, "fg": 5}, -1.0),
        # One gives a single answer: what they agree on is chance.
        ({"gg": 5, "gf": 5}, 0.0),
    ],
)
def test_kappa_by_hand(counts, kappa):
    first, second = said(**counts)
    assert cohens_kappa(first, second) == pytest.approx(kappa)
    assert cohens_kappa(second, first) == pytest.approx(kappa)


def test_kappa_has_no_value_where_chance_explains_all():
    assert cohens_kappa(["good"] * 4, ["good"] * 4) is None
    assert cohens_kappa([], []) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        cohens_kappa(["good"], [])


@given(st.lists(st.tuples(*[st.sampled_from("gpfu")] * 2), min_size=1, max_size=60))
def test_kappa_never_passes_one(pairs):
    found = cohens_kappa(*zip(*pairs, strict=True))
    assert found is None or -1 - 1e-9 <= found <= 1 + 1e-9
