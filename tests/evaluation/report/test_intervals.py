from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluation.report.intervals import interval, intervals
from evaluation.report.resampling import bootstrap_means, strata
from evaluation.result import Result

Make = Callable[..., Result]


def test_the_error_of_a_share_is_the_binomial_one(result_of: Make) -> None:
    hits = [100.0] * 120 + [0.0] * 280
    found = intervals(result_of({"dress": {"dress/R@10": hits}}), draws=4000)["dress/R@10"]
    error = 100 * np.sqrt(0.3 * 0.7 / 400)
    assert found.error == pytest.approx(error, rel=0.05)
    assert (found.low, found.high) == pytest.approx((30 - 1.96 * error, 30 + 1.96 * error), abs=0.5)


def test_a_macro_average_is_drawn_within_its_parts(result_of: Make) -> None:
    # Parts of 50 and 450: a pooled draw would let the shares of the parts vary too, and weigh them by size.
    rng = np.random.default_rng(5)
    parts = {
        "dress": {"dress/R@10": 100.0 * (rng.random(50) < 0.8)},
        "shirt": {"shirt/R@10": 100.0 * (rng.random(450) < 0.1)},
    }
    result = result_of(parts, {"average/R@10": ("dress/R@10", "shirt/R@10")})
    found = intervals(result, draws=4000)
    errors = [np.std(parts[name][f"{name}/R@10"]) / np.sqrt(size) for name, size in (("dress", 50), ("shirt", 450))]
    assert found["average/R@10"].error == pytest.approx(np.hypot(*errors) / 2, rel=0.05)
    pooled = np.std(np.concatenate([one for part in parts.values() for one in part.values()])) / np.sqrt(500)
    assert abs(found["average/R@10"].error / pooled - 1) > 0.2


def test_constant_metrics_have_no_width_and_seeds_decide(result_of: Make) -> None:
    result = result_of({"dress": {"dress/R@10": [100.0] * 9, "dress/R@50": [0.0, 100.0, 50.0] * 3}})
    first, again, other = intervals(result), intervals(result), intervals(result, seed=1)
    assert (first["dress/R@10"].low, first["dress/R@10"].high) == (100.0, 100.0)
    assert first == again
    assert first["dress/R@50"].error != other["dress/R@50"].error


def test_queries_without_a_metric_do_not_count(result_of: Make) -> None:
    nan = float("nan")
    result = result_of({"all": {"mAP@10": [0.0, 100.0, 0.0, 100.0], "aspect/color/mAP@10": [nan, nan, nan, 40.0]}})
    means = bootstrap_means(strata(result), {}, draws=200, seed=0)["aspect/color/mAP@10"]
    # A query is missing from a draw of four with the chance (3/4)^4 = 0.32.
    assert np.isnan(means).mean() == pytest.approx(0.316, abs=0.1)
    assert intervals(result)["aspect/color/mAP@10"].low == pytest.approx(40.0)
    assert np.isnan(interval(np.array([np.nan])).low)


def test_parts_with_the_same_queries_are_drawn_together(result_of: Make) -> None:
    values = [0.0, 100.0] * 20
    ids = {name: [str(number) for number in range(40)] for name in ("all", "subset")}
    result = result_of({"all": {"R@1": values}, "subset": {"Rsubset@1": values}}, benchmark="cirr", ids=ids)
    assert len(strata(result)) == 1
    means = bootstrap_means(strata(result), {}, draws=50, seed=0)
    np.testing.assert_array_equal(means["R@1"], means["Rsubset@1"])


def test_the_two_orders_of_an_annotation_are_one_unit(result_of: Make) -> None:
    single = [0.0, 100.0] * 50
    ids = {"dress": [f"dress/{number}/{order}" for number in range(100) for order in (0, 1)]}
    twice = result_of({"dress": {"dress/R@10": np.repeat(single, 2)}}, protocol="cosmo-val", ids=ids)
    once = result_of({"dress": {"dress/R@10": single}})
    assert intervals(twice)["dress/R@10"] == intervals(once)["dress/R@10"]


def test_results_without_queries_have_no_intervals(result_of: Make) -> None:
    assert intervals(Result("cirr", "hard", "val", {"R@1": 5.0}, {"R@1": (5.0, 5.0)}, {})) == {}
