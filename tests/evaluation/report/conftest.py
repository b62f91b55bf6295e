"""Results for the tests of the report, made from values of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from evaluation.result import QueryValues, Result


def _result_of(
    parts: Mapping[str, Mapping[str, Sequence[float]]],
    averages: Mapping[str, tuple[str, ...]] | None = None,
    *,
    benchmark: str = "fashioniq",
    protocol: str = "original",
    split: str = "val",
    ids: Mapping[str, Sequence[str]] | None = None,
) -> Result:
    """A result of parts: for each the values of its metrics by query, in percent."""
    queries, metrics = [], {}
    for part, columns in parts.items():
        values = {name: np.array(column, np.float64) for name, column in columns.items()}
        size = len(next(iter(values.values())))
        names = (ids or {}).get(part) or [f"{part}/{number}" for number in range(size)]
        queries.append(QueryValues(part, names, values))
        metrics |= {name: float(np.nanmean(column)) for name, column in values.items()}
    for name, of in (averages or {}).items():
        metrics[name] = float(np.mean([metrics[one] for one in of]))
    bounds = {name: (value, value) for name, value in metrics.items()}
    return Result(benchmark, protocol, split, metrics, bounds, {"queries": 1}, queries, dict(averages or {}))


@pytest.fixture
def result_of() -> Callable[..., Result]:
    return _result_of
