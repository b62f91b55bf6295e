"""Queries drawn anew, with replacement: the bootstrap behind intervals of one result and of a difference of two.

Every part of a result is a stratum and keeps its number of queries, so that a plain mean over parts (FashionIQ's three
categories) varies as its parts do. Parts with the same queries (CIRR's whole split and its subsets) are drawn together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.result import Float64Array, QueryValues, Result

#: Values of a block of draws that are in memory at a time.
_BLOCK = 1 << 22
_ORDER = re.compile(r"/[01]$")


@dataclass(frozen=True)
class Stratum:
    """What is drawn together: names of the u units; for each metric the sum (u,) of a unit's values in percent, and how
    many of its queries have one (u,)."""

    units: tuple[str, ...]
    sums: Mapping[str, Float64Array]
    numbers: Mapping[str, Float64Array]


def strata(result: Result) -> tuple[Stratum, ...]:
    """The strata of a result. A unit is a query; CoSMo's protocols ask every annotation twice, and there the two are
    one unit."""
    pairs = result.benchmark == "fashioniq" and result.protocol.startswith("cosmo")
    merged: dict[tuple[str, ...], Stratum] = {}
    for part in result.queries:
        found = _stratum(part, [_ORDER.sub("", one) for one in part.ids] if pairs else list(part.ids))
        before = merged.get(found.units)
        if before is not None:
            found = Stratum(found.units, {**before.sums, **found.sums}, {**before.numbers, **found.numbers})
        merged[found.units] = found
    return tuple(merged.values())


def _stratum(part: QueryValues, names: Sequence[str]) -> Stratum:
    units = tuple(dict.fromkeys(names))
    numbers = {one: number for number, one in enumerate(units)}
    places = np.array([numbers[one] for one in names], np.int64)
    sums: dict[str, Float64Array] = {}
    counts: dict[str, Float64Array] = {}
    for metric, values in part.values.items():
        known = ~np.isnan(values)
        sums[metric] = np.asarray(np.bincount(places[known], values[known], len(units)), np.float64)
        counts[metric] = np.asarray(np.bincount(places[known], minlength=len(units)), np.float64)
    return Stratum(units, sums, counts)


def bootstrap_means(
    found: Sequence[Stratum], averages: Mapping[str, Sequence[str]], *, draws: int, seed: int
) -> dict[str, Float64Array]:
    """For each metric its value (draws,) in every draw; NaN in draws that hold no query with the metric.

    Equal strata, draws and seed give equal draws, so that the difference of two results on the same queries is
    paired."""
    means: dict[str, Float64Array] = {}
    for number, stratum in enumerate(found):
        names = list(stratum.sums)
        if not names or not stratum.units:
            continue
        sums = np.stack([stratum.sums[one] for one in names], axis=1)
        numbers = np.stack([stratum.numbers[one] for one in names], axis=1)
        blocks = []
        for counts in _drawn(len(stratum.units), draws, np.random.default_rng([seed, number])):
            with np.errstate(invalid="ignore"):
                blocks.append((counts @ sums) / (counts @ numbers))
        means |= dict(zip(names, np.concatenate(blocks).T, strict=True))
    for name, of in averages.items():
        means[name] = np.mean([means[one] for one in of], axis=0)
    return means


def _drawn(units: int, draws: int, generator: np.random.Generator) -> Iterator[Float64Array]:
    """How often each unit is drawn: blocks (b, units) of `draws` rows together, each row summing to `units`."""
    height = max(1, _BLOCK // units)
    for start in range(0, draws, height):
        rows = min(height, draws - start)
        drawn = generator.integers(units, size=(rows, units)) + units * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
