"""Windows on similarities, and quantiles of counted scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mining.windows import ScoreCounts, Window, WindowConfig, resolve_window
from schemas.errors import ConfigurationError

SCORES = st.lists(st.integers(-10_000, 10_000).map(lambda one: one / 10_000), min_size=1, max_size=60)


def counted(scores: list[float]) -> ScoreCounts:
    counts = ScoreCounts()
    counts.add(scores)
    return counts


@given(SCORES, st.integers(0, 1000).map(lambda one: one / 1000))
def test_quantiles_are_those_of_the_sorted_list(scores: list[float], share: float) -> None:
    assert counted(scores).quantile(share) == np.quantile(scores, share, method="inverted_cdf")


@given(SCORES, st.integers(0, 100).map(lambda one: one / 100))
def test_at_least_the_share_does_not_pass_a_quantile(scores: list[float], share: float) -> None:
    quantile = counted(scores).quantile(share)
    assert quantile in scores
    assert sum(score <= quantile for score in scores) >= round(share * len(scores), 9)
    assert sum(score < quantile for score in scores) <= max(0.0, round(share * len(scores), 9))


@given(SCORES, st.integers(0, 60))
def test_counts_of_shards_add_up_and_travel_as_json(scores: list[float], cut: int) -> None:
    whole, parts = counted(scores), counted(scores[:cut])
    parts.merge(ScoreCounts(counted(scores[cut:]).to_json()))
    assert parts.to_json() == whole.to_json()
    assert parts.total == len(scores)


@given(SCORES, st.integers(-10_000, 10_000), st.integers(0, 9_000))
def test_both_ends_of_a_window_belong_to_it(scores: list[float], low: int, width: int) -> None:
    window = Window(low / 10_000, min(low + width, 10_000) / 10_000)
    assert counted(scores).within(window) == sum(score in window for score in scores)


def test_nothing_counted_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no scores"):
        ScoreCounts().quantile(0.5)


def test_quantiles_become_similarities_of_the_corpus() -> None:
    counts = counted([0.1, 0.2, 0.3, 0.4])
    assert resolve_window(WindowConfig(min_quantile=0.5, max=0.35), counts, "x") == Window(0.2, 0.35)
    assert resolve_window(WindowConfig(), counts, "x") == Window(-1.0, 1.0)
    assert WindowConfig(max_quantile=0.5).by_quantile
    assert not WindowConfig(max=0.5).by_quantile


def test_a_window_that_keeps_nothing_says_what_there_is() -> None:
    counts = counted([0.1, 0.2, 0.3])
    for config in (WindowConfig(min=0.9), WindowConfig(min=0.25, max=0.26), WindowConfig(min=0.3, max_quantile=0.1)):
        with pytest.raises(ConfigurationError, match=r"mine\.x keeps nothing.*between 0\.1000 and 0\.3000.*0\.2000"):
            resolve_window(config, counts, "mine.x")


def test_where_no_two_images_can_be_compared_any_window_will_do() -> None:
    assert resolve_window(WindowConfig(min=0.9), ScoreCounts(), "x") == Window(-1.0, 1.0)


@pytest.mark.parametrize(
    "ends",
    [
        {"min": 0.5, "max": 0.5},
        {"min": 0.6, "max": 0.5},
        {"min_quantile": 0.6, "max_quantile": 0.5},
        {"min": 0.1, "min_quantile": 0.1},
        {"max": 0.1, "max_quantile": 0.1},
        {"min": 1.1},
        {"max_quantile": -0.1},
        {"least": 0.3},
    ],
)
def test_windows_that_cannot_be_are_refused(ends: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        WindowConfig(**ends)


def test_nothing_but_a_score_lies_in_a_window() -> None:
    assert 0.5 in Window(0.5, 0.5)
    assert None not in Window(-1.0, 1.0)
    assert str(Window(0.5, 1)) == "[0.5000, 1.0000]"


def test_a_span_holds_the_falling_scores_inside():
    scores = [0.9, 0.8, 0.8, 0.5, 0.2]
    for low, high in ((0.5, 0.8), (0.0, 1.0), (0.6, 0.7), (0.95, 1.0), (-1.0, 0.1), (0.2, 0.2)):
        window = Window(low, high)
        first, last = window.span(scores)
        assert scores[first:last] == [score for score in scores if score in window]
        assert 0 <= first <= last <= 5
