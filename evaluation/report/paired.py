"""Two results of one benchmark, query by query: which changed, and whether the difference could be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.embeddings import shown
from evaluation.report.headline import headline, parts_of
from evaluation.report.intervals import DRAWS, LEVEL, interval
from evaluation.report.resampling import Stratum, bootstrap_means, strata
from evaluation.report.significance import PERMUTATIONS, holm, permutation_test, sign_test
from evaluation.result import Float64Array, QueryValues, Result
from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class MetricDifference:
    """One metric of both results in percent, over the queries that both hold.

    `difference` is second - first in percentage points, `low` and `high` its 95% interval (paired bootstrap). `better`
    and `worse` count the queries that the second result does better or worse. `p` is that of the permutation test,
    `p_sign` of the sign test, `p_holm` is `p` corrected for the number of metrics."""

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    better: int
    worse: int
    equal: int
    p: float
    p_sign: float
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the difference stands at 5% after the correction."""
        return self.p_holm < 0.05


@dataclass(frozen=True)
class ChangedQuery:
    """A query whose value in the metric compared is another; percent."""

    query_id: str
    metric: str
    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """Metrics in the order of the first result; the changed queries of `metric`, the largest gains first and the
    largest losses last; how many queries both results hold, and how many only one of them."""

    benchmark: str
    protocol: str
    split: str
    metric: str
    differences: tuple[MetricDifference, ...]
    changed: tuple[ChangedQuery, ...]
    queries: int
    only_first: int
    only_second: int

    @property
    def gained(self) -> tuple[ChangedQuery, ...]:
        """Queries that the second result does better, the largest gains first."""
        return tuple(one for one in self.changed if one.second > one.first)

    @property
    def lost(self) -> tuple[ChangedQuery, ...]:
        """Queries that the second result does worse, the largest losses first."""
        lost = [one for one in self.changed if one.second < one.first]
        return tuple(sorted(lost, key=lambda one: (one.second - one.first, one.query_id, one.metric)))

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return asdict(self)


def compare(
    first: Result,
    second: Result,
    *,
    metric: str | None = None,
    draws: int = DRAWS,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Compare two results of one benchmark, protocol and split; deterministic by `seed`.

    Raises ConfigurationError for results that cannot be compared, and for those without the values of their
    queries."""
    _check(first, second)
    a, b = _common(first, second), _common(second, first)
    if not any(len(part.ids) for part in a.queries):
        raise ConfigurationError("the two results have no query in common: compare results of the same annotations.")
    pairs = [_equally_known(one, other) for one, other in zip(a.queries, b.queries, strict=True)]
    a, b = _with(a, [one for one, _ in pairs]), _with(b, [other for _, other in pairs])
    main = headline(a, metric)
    of_a, of_b = strata(a), strata(b)
    means = [bootstrap_means(one, a.averages, draws=draws, seed=seed) for one in (of_a, of_b)]
    contributions = [_contributions(*two, a.averages) for two in zip(of_a, of_b, strict=True)]
    p_values = permutation_test(contributions, permutations=permutations, seed=seed)
    corrected = holm(p_values)
    values_a, values_b = _means(of_a, a.averages), _means(of_b, b.averages)
    differences = []
    for name in a.metrics:
        if name not in p_values:
            continue
        between = interval(means[1][name] - means[0][name], LEVEL)
        better, worse, equal = _signs(pairs, parts_of(a, name))
        differences.append(
            MetricDifference(
                name,
                values_a[name],
                values_b[name],
                values_b[name] - values_a[name],
                between.low,
                between.high,
                better,
                worse,
                equal,
                p_values[name],
                sign_test(better, worse),
                corrected[name],
            )
        )
    ids = [{one for part in result.queries for one in part.ids} for result in (first, second, a)]
    return Comparison(
        first.benchmark,
        first.protocol,
        first.split,
        main,
        tuple(differences),
        _changed(pairs, parts_of(a, main)),
        len(ids[2]),
        len(ids[0] - ids[2]),
        len(ids[1] - ids[2]),
    )


def _check(first: Result, second: Result) -> None:
    for name in ("benchmark", "protocol", "split"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise ConfigurationError(
                f"the results have another {name} ({one or 'unknown'} and {other or 'unknown'}): numbers compare only "
                "where benchmark, protocol and split are the same."
            )
    for result in (first, second):
        if not result.queries:
            raise ConfigurationError(
                "a result lacks the values of its queries: keep NAME.queries.json beside NAME.json, as it was written."
            )
    names = [{part.part for part in result.queries} for result in (first, second)]
    if names[0] != names[1]:
        raise ConfigurationError(f"the results have other parts: {shown(sorted(names[0] ^ names[1]))}.")


def _common(result: Result, other: Result) -> Result:
    """The result with the queries and metrics that the other holds too, in the order of their ids."""
    held = {part.part: part for part in other.queries}
    parts = []
    for part in sorted(result.queries, key=lambda one: one.part):
        ids = set(held[part.part].ids)
        rows = sorted((row for row, one in enumerate(part.ids) if one in ids), key=lambda row: part.ids[row])
        values = {name: column[rows] for name, column in part.values.items() if name in held[part.part].values}
        parts.append(QueryValues(part.part, [part.ids[row] for row in rows], values))
    known = {name for part in parts for name in part.values}
    averages = {name: of for name, of in result.averages.items() if known.issuperset(of)}
    metrics = {name: value for name, value in result.metrics.items() if name in known or name in averages}
    return Result(result.benchmark, result.protocol, result.split, metrics, {}, {}, parts, averages)


def _with(result: Result, parts: Sequence[QueryValues]) -> Result:
    return Result(
        result.benchmark, result.protocol, result.split, result.metrics, {}, {}, parts, result.averages, result.notes
    )


def _equally_known(one: QueryValues, other: QueryValues) -> tuple[QueryValues, QueryValues]:
    """Both without the values that only one of them has."""
    first, second = {}, {}
    for name, values in one.values.items():
        known = ~(np.isnan(values) | np.isnan(other.values[name]))
        first[name], second[name] = (np.where(known, each, np.nan) for each in (values, other.values[name]))
    return QueryValues(one.part, one.ids, first), QueryValues(other.part, other.ids, second)


def _means(found: Sequence[Stratum], averages: Mapping[str, Sequence[str]]) -> dict[str, float]:
    means = {}
    for stratum in found:
        for name, sums in stratum.sums.items():
            number = stratum.numbers[name].sum()
            means[name] = float(sums.sum() / number) if number else float("nan")
    return means | {name: float(np.mean([means[one] for one in of])) for name, of in averages.items()}


def _contributions(first: Stratum, second: Stratum, averages: Mapping[str, Sequence[str]]) -> dict[str, Float64Array]:
    """What each unit of a stratum adds to the difference of each metric; averages of its metrics too."""
    found = {}
    for name, sums in first.sums.items():
        number = first.numbers[name].sum()
        if number:
            found[name] = (second.sums[name] - sums) / number
    own = dict(found)
    for name, of in averages.items():
        parts = [own[one] for one in of if one in own]
        if parts:
            found[name] = np.sum(parts, axis=0) / len(of)
    return found


def _signs(pairs: Sequence[tuple[QueryValues, QueryValues]], metrics: Sequence[str]) -> tuple[int, int, int]:
    better = worse = equal = 0
    for one, other in pairs:
        for name in metrics:
            if name in one.values:
                difference = other.values[name] - one.values[name]
                better += int((difference > 0).sum())
                worse += int((difference < 0).sum())
                equal += int((difference == 0).sum())
    return better, worse, equal


def _changed(pairs: Sequence[tuple[QueryValues, QueryValues]], metrics: Sequence[str]) -> tuple[ChangedQuery, ...]:
    found = [
        ChangedQuery(one.ids[int(row)], name, float(one.values[name][row]), float(other.values[name][row]))
        for one, other in pairs
        for name in metrics
        if name in one.values
        for row in np.flatnonzero(np.abs(other.values[name] - one.values[name]) > 0)
    ]
    return tuple(sorted(found, key=lambda one: (one.first - one.second, one.query_id, one.metric)))
