"""How sure a share is, and how far two judges agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

#: Normal quantile of a two-sided 95% interval.
_Z = 1.959963984540054


def wilson(successes: int, total: int) -> tuple[float, float]:
    """The 95% interval of a share after Wilson (1927, score interval without continuity correction): low and high,
    0…1. Raises ValueError without any trial."""
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"{successes} of {total} is no share")
    share, square = successes / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement of two judges on the same items beyond chance, after Cohen (1960), unweighted: at most 1.

    None where it has no value: no items, or both gave one and the same answer to all of them.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} answers cannot be compared with {len(second)}")
    total = len(first)
    if not total:
        return None
    ours, theirs = Counter(first), Counter(second)
    # Whole numbers up to here: chance agreement of 1 is told exactly.
    chance = sum(ours[name] * theirs[name] for name in ours)
    if chance == total * total:
        return None
    agreed = sum(one == other for one, other in zip(first, second, strict=True))
    return (agreed / total - chance / total**2) / (1 - chance / total**2)
