"""Hubness: images that stand among the nearest neighbours of a great many others.

In spaces of many dimensions the number of lists that a point stands in, N_k, is skewed: most points stand in few, some
in a great many (Radovanović, Nanopoulos and Ivanović 2010). Such a hub is near everything and says nothing; mined as a
partner it floods a dataset, and as a negative it teaches little. Some are placeholders and blank tiles, and an image
can be made for it: CLIPMasterPrints (Freiberger et al. 2023) need not look like anything and score higher against a
great many texts than pictures of what these name. Whoever plants one in a crawl wants it retrieved everywhere; N_k
finds it with no look at its pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DECIMALS = 4


class HubConfig(BaseModel):
    """When an image is a hub: by deviation from the mean N_k, or by its share of all lists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deviations: float = Field(
        default=10.0, gt=0, description="an image is a hub if its N_k lies more standard deviations above the mean …"
    )
    share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="… or if it stands in more than this share of all lists, and in three times as many as the mean; …",
    )
    least: int = Field(
        default=50, ge=1, description="… but never with an N_k below this: small crawls have no hubs worth the name"
    )


def k_occurrences(ids: npt.NDArray[Any], rows: npt.NDArray[Any]) -> Int64Array:
    """N_k of images: in how many lists of other images each stands.

    `ids` (n) are distinct ids, numbers or strings; `rows` (m, 2) the lists as (id, neighbour), in any order. An image
    in its own list and a neighbour that a list names twice do not count; neighbours outside `ids` are left out. Counts
    of parts of the lists may be added up if no list is in two parts. Returns int64 (n). Raises ValueError on repeated
    ids.
    """
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    if len(ids) > 1 and bool((ordered[1:] == ordered[:-1]).any()):
        raise ValueError("ids are not distinct")
    counts = np.zeros(len(ids), np.int64)
    if not len(ids) or not len(rows):
        return counts
    others = rows[rows[:, 0] != rows[:, 1]]
    if not len(others):
        return counts
    _, owners = np.unique(others[:, 0], return_inverse=True)
    places = np.searchsorted(ordered, others[:, 1])
    known = ordered[np.minimum(places, len(ids) - 1)] == others[:, 1]
    # One number for each (list, neighbour): both are below 2**31 in any corpus that one process counts.
    listed = np.unique(owners[known].astype(np.int64) * len(ids) + places[known])
    counts[order] = np.bincount(listed % len(ids), minlength=len(ids))
    return counts


def skewness(occurrences: Int64Array) -> float:
    """Skew of N_k, its third standardised moment, rounded to 4 decimals: about 0 without hubs, 1.4 and more where
    Radovanović et al. speak of strong hubness; 0.0 where all are equal."""
    deviations, spread = _standardised(occurrences)
    return round(float(np.mean(deviations**3)), DECIMALS) if spread > 0 else 0.0


def hubness(occurrences: Int64Array) -> Float64Array:
    """The standardised hubness score of each image: (N_k − mean) / standard deviation over the corpus, float64 (n),
    rounded to 4 decimals; zeros where all are equal."""
    deviations, _ = _standardised(occurrences)
    return np.round(deviations, DECIMALS)


def hubs(occurrences: Int64Array, lists: int, config: HubConfig) -> BoolArray:
    """Which images are hubs, bool (n): N_k of at least `least`, and more than mean + `deviations` · standard deviation
    or than `share` · `lists` and three times the mean. `lists` is how many lists were counted; the mean alone is a
    large share of them where k is not small beside the corpus."""
    if not len(occurrences):
        return np.zeros(0, bool)
    far = hubness(occurrences) > config.deviations
    everywhere = (occurrences > config.share * lists) & (occurrences > 3 * occurrences.mean())
    return np.asarray((far | everywhere) & (occurrences >= config.least), bool)


def _standardised(occurrences: Int64Array) -> tuple[Float64Array, float]:
    """Deviations from the mean in standard deviations, and the standard deviation; zeros if that is 0.

    The sums are of whole numbers, so that no order of images moves a bit."""
    count = len(occurrences)
    if not count:
        return np.zeros(0, np.float64), 0.0
    total = sum(occurrences.tolist())
    squares = sum(value * value for value in occurrences.tolist())
    spread = float(np.sqrt((count * squares - total * total) / (count * count)))
    if spread == 0.0:
        return np.zeros(count, np.float64), 0.0
    return (occurrences.astype(np.float64) - total / count) / spread, spread
