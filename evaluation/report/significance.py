"""Whether a difference could be chance: sign-flip permutation test, exact sign test, Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from evaluation.result import Float64Array

PERMUTATIONS, SEED = 10_000, 0
#: Up to so many units that differ, all ways to flip their signs are tried.
_EXACT = 12
#: Values of a block of sign flips that are in memory at a time.
_BLOCK = 1 << 22
_ROUNDING = 1e-9


def permutation_test(
    contributions: Sequence[Mapping[str, Float64Array]], *, permutations: int = PERMUTATIONS, seed: int = SEED
) -> dict[str, float]:
    """Two-sided p of each metric's difference under the hypothesis that the two results could be swapped in any unit.

    `contributions`: for each stratum and metric float64 (u,), what each unit adds to the difference, which is their
    sum over all strata. Where few units differ the p is exact: the share of all sign flips whose sum is as far from
    zero. Otherwise it is (1 + such flips) / (1 + `permutations`), with flips shared by all metrics."""
    names = list(dict.fromkeys(name for one in contributions for name in one))
    columns = {name: [one[name] for one in contributions if name in one] for name in names}
    observed = {name: abs(float(sum(column.sum() for column in columns[name]))) for name in names}
    scale = {name: max(1.0, sum(float(np.abs(column).sum()) for column in columns[name])) for name in names}
    found, sampled = {}, []
    for name in names:
        moved = np.concatenate(columns[name])
        moved = moved[moved != 0]
        if len(moved) <= _EXACT:
            signs = np.array(list(product((1.0, -1.0), repeat=len(moved)))).reshape(2 ** len(moved), len(moved))
            found[name] = float(np.mean(np.abs(signs @ moved) >= observed[name] - _ROUNDING * scale[name]))
        else:
            sampled.append(name)
    if sampled:
        limits = np.array([observed[name] - _ROUNDING * scale[name] for name in sampled])
        sums = _flipped(contributions, sampled, permutations, seed)
        beyond = (np.abs(sums) >= limits).sum(axis=0)
        found |= {name: float((1 + count) / (1 + permutations)) for name, count in zip(sampled, beyond, strict=True)}
    return {name: found[name] for name in names}


def _flipped(
    contributions: Sequence[Mapping[str, Float64Array]], names: Sequence[str], permutations: int, seed: int
) -> Float64Array:
    """Sums (permutations, metrics) under random signs of the units."""
    sums = np.zeros((permutations, len(names)))
    for number, one in enumerate(contributions):
        size = len(next(iter(one.values()), ()))
        matrix = np.stack([one.get(name, np.zeros(size)) for name in names], axis=1)
        matrix = matrix[(matrix != 0).any(axis=1)]
        if not len(matrix):
            continue
        generator = np.random.default_rng([seed, number])
        height = max(1, _BLOCK // len(matrix))
        for start in range(0, permutations, height):
            rows = min(height, permutations - start)
            signs = 1.0 - 2.0 * generator.integers(2, size=(rows, len(matrix)), dtype=np.int8)
            sums[start : start + rows] += signs @ matrix
    return sums


def sign_test(better: int, worse: int) -> float:
    """Two-sided p of so many units better and worse if both were equally likely; exact, units that are equal apart."""
    total, fewer = better + worse, min(better, worse)
    term, tail = 1, 1
    for number in range(1, fewer + 1):
        term = term * (total - number + 1) // number
        tail += term
    return min(1.0, 2 * tail / 2**total)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's correction for looking at several metrics at once; it holds however they depend on each other."""
    adjusted, highest = {}, 0.0
    for number, name in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        highest = max(highest, min(1.0, (len(p_values) - number) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
