from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.report.paired import compare
from evaluation.report.significance import holm, permutation_test, sign_test
from evaluation.result import Result
from schemas.errors import ConfigurationError

Make = Callable[..., Result]


def test_a_comparison_worked_by_hand(result_of: Make) -> None:
    # Six queries: three gained, none lost. Of 2^3 sign flips two are as far from zero: p = 0.25.
    first = result_of({"dress": {"dress/R@10": [0, 0, 0, 100, 100, 0]}})
    second = result_of({"dress": {"dress/R@10": [100, 100, 100, 100, 100, 0]}})
    found = compare(first, second)
    (row,) = found.differences
    assert (row.first, row.second, row.difference) == pytest.approx((100 / 3, 250 / 3, 50))
    assert (row.better, row.worse, row.equal) == (3, 0, 3)
    assert (row.p, row.p_sign, row.p_holm) == pytest.approx((0.25, 0.25, 0.25))
    assert not row.significant
    assert [one.query_id for one in found.gained] == ["dress/0", "dress/1", "dress/2"]
    assert found.lost == ()
    assert row.low <= 50 <= row.high


def test_an_average_takes_its_parts_by_their_own_size(result_of: Make) -> None:
    averages = {"average/R@10": ("dress/R@10", "shirt/R@10")}
    first = result_of({"dress": {"dress/R@10": [0, 0]}, "shirt": {"shirt/R@10": [100, 0, 0, 0]}}, averages)
    second = result_of({"dress": {"dress/R@10": [100, 0]}, "shirt": {"shirt/R@10": [0, 0, 0, 0]}}, averages)
    found = compare(first, second)
    row = found.differences[-1]
    assert (row.metric, row.difference) == ("average/R@10", pytest.approx(50 / 2 - 25 / 2))
    # Contributions 25 and -12.5: all four flips of |±25 ± 12.5| are 12.5 or more.
    assert row.p == 1.0
    assert [one.query_id for one in found.changed] == ["dress/0", "shirt/0"]


def test_the_order_of_queries_does_not_matter_and_the_rest_is_left_out(result_of: Make) -> None:
    ids = [f"q{number}" for number in range(30)]
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 30)) * 100
    turned = list(reversed(range(30)))
    first = result_of({"all": {"mAP": a}}, ids={"all": ids}, benchmark="lensmith")
    second = result_of({"all": {"mAP": b}}, ids={"all": ids}, benchmark="lensmith")
    moved = result_of({"all": {"mAP": b[turned]}}, ids={"all": [ids[one] for one in turned]}, benchmark="lensmith")
    assert compare(first, second) == compare(first, moved)
    longer = result_of({"all": {"mAP": [*b, 7.0]}}, ids={"all": [*ids, "more"]}, benchmark="lensmith")
    found = compare(first, longer)
    assert (found.queries, found.only_first, found.only_second) == (30, 0, 1)
    assert found.differences == compare(first, second).differences


def test_equal_results_differ_in_nothing(result_of: Make) -> None:
    one = result_of({"all": {"R@1": [0, 100, 100], "mAP": [3.5, 100, 100]}}, benchmark="lensmith")
    found = compare(one, one)
    assert found.changed == ()
    assert all((row.difference, row.low, row.high, row.p, row.p_sign) == (0, 0, 0, 1, 1) for row in found.differences)


def test_a_clear_difference_stands_and_swapping_turns_it(result_of: Make) -> None:
    rng = np.random.default_rng(1)
    a = 100.0 * (rng.random(400) < 0.3)
    b = np.where(rng.random(400) < 0.2, 100.0, a)
    results = [result_of({"all": {"R@1": one}}, benchmark="lensmith") for one in (a, b)]
    (row,), (back,) = compare(*results).differences, compare(*reversed(results)).differences
    assert row.significant
    assert row.low > 0
    assert (back.difference, back.low, back.high, back.p) == pytest.approx(
        (-row.difference, -row.high, -row.low, row.p)
    )
    error = 100 * np.std((b - a) / 100) / np.sqrt(400)
    assert row.high - row.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_results_that_cannot_be_compared(result_of: Make) -> None:
    one = result_of({"dress": {"dress/R@10": [0.0]}})
    other = result_of({"dress": {"dress/R@10": [0.0]}}, protocol="val")
    with pytest.raises(ConfigurationError, match="another protocol"):
        compare(one, other)
    with pytest.raises(ConfigurationError, match=r"queries\.json"):
        compare(one, Result("fashioniq", "original", "val", {}, {}, {}))
    with pytest.raises(ConfigurationError, match="no query in common"):
        compare(one, result_of({"dress": {"dress/R@10": [0.0]}}, ids={"dress": ["else"]}))
    with pytest.raises(ConfigurationError, match="no metric"):
        compare(one, one, metric="R@7")


@given(better=st.integers(0, 60), worse=st.integers(0, 60))
def test_the_sign_test_is_the_binomial_tail(better: int, worse: int) -> None:
    total = better + worse
    tail = sum(comb(total, number) for number in range(min(better, worse) + 1)) / 2**total
    assert sign_test(better, worse) == pytest.approx(min(1.0, 2 * tail))
    assert sign_test(better, worse) == sign_test(worse, better)


def test_permutations_of_equal_steps_come_near_the_sign_test() -> None:
    steps = np.array([1.0] * 30 + [-1.0] * 14)
    found = permutation_test([{"R@1": steps}], permutations=20_000)["R@1"]
    assert found == pytest.approx(sign_test(30, 14), abs=0.005)


def test_sampled_flips_come_near_all_flips() -> None:
    steps = np.array([3.0, 1.0, 2.0, -1.0, 0.5, 4.0, -2.0, 1.5, 1.0, -0.5, 2.5, 1.0, -3.0])
    signs = np.array(list(product((1, -1), repeat=len(steps))))
    exact = np.mean(np.abs(signs @ steps) >= abs(steps.sum()))
    sampled = permutation_test([{"m": steps[:5]}, {"m": np.array([*steps[5:], 0.0])}], permutations=40_000)["m"]
    assert sampled == pytest.approx(exact, abs=0.01)


def test_holm_by_hand() -> None:
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
