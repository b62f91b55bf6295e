"""The choice of few pairs among many."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from mining.pair_choice import chosen_pairs


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.1, 0.5, 0.9])), max_size=40),
    st.integers(0, 12),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_caps_are_exact_and_the_order_of_candidates_changes_nothing(pairs, cap, per_image, random) -> None:
    candidates = [
        pair for pair in {(one, other): (one, other, s) for one, other, s in pairs}.values() if pair[0] < pair[1]
    ]
    ids = [f"id{number}" for number in range(10)]
    taken = chosen_pairs(candidates, ids, cap, per_image)
    assert len(taken) <= cap
    used = Counter(image for pair in taken for image in pair[:2])
    assert max(used.values(), default=0) <= per_image
    assert len(set(taken)) == len(taken)
    if len(taken) < cap:
        left = set(candidates) - set(taken)
        assert all(used[one] == per_image or used[other] == per_image for one, other, _ in left)
    assert chosen_pairs(random.sample(candidates, len(candidates)), ids, cap, per_image) == taken


def test_pairs_are_spread_before_an_image_comes_again() -> None:
    candidates = [(one, other, 1.0 if one == 0 else 0.1) for one, other in combinations(range(6), 2)]
    taken = chosen_pairs(candidates, list("abcdef"), 3, 2)
    assert len({image for pair in taken for image in pair[:2]}) == 6
