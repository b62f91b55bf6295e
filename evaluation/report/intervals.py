"""Bootstrap confidence intervals over queries (Efron's percentile interval)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.report.resampling import bootstrap_means, strata
from evaluation.result import Float64Array, Result

DRAWS, LEVEL, SEED = 2000, 0.95, 0


@dataclass(frozen=True)
class Interval:
    """In percent: from `low` to `high`, and the standard error."""

    low: float
    high: float
    error: float


def intervals(result: Result, *, draws: int = DRAWS, level: float = LEVEL, seed: int = SEED) -> dict[str, Interval]:
    """An interval for every metric of which the result holds its queries' values; none for a result without them.

    Queries of one part are taken as independent of each other, which those of GPR1200 (ten a category) are not quite.
    A metric that is equal for all queries has an interval without width. Equal input and seed give equal
    intervals."""
    found = bootstrap_means(strata(result), _averages(result), draws=draws, seed=seed)
    return {name: interval(found[name], level) for name in result.metrics if name in found}


def interval(values: Float64Array, level: float = LEVEL) -> Interval:
    """The interval that holds the middle `level` of values (draws,), NaN apart."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), float(known.std(ddof=1)) if len(known) > 1 else 0.0)


def _averages(result: Result) -> dict[str, tuple[str, ...]]:
    known = {name for part in result.queries for name in part.values}
    return {name: of for name, of in result.averages.items() if known.issuperset(of)}
