"""Windows on similarities, given as similarities or as quantiles of the corpus, since encoders differ.

A quantile is one of all the scores that stand in the corpus' lists of nearest neighbours in that view: 0.5 is the
similarity that half of them pass. Scores are rounded to 4 decimals, so that counts of their 20,001 values tell every
quantile exactly, whatever the order in which shards are counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import neg

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mining.similarity import DECIMALS
from schemas.errors import ConfigurationError

_SCALE = 10**DECIMALS
#: Values of a cosine of 4 decimals.
BINS = 2 * _SCALE + 1


class WindowConfig(BaseModel):
    """Both ends of a window; an end is a similarity or a quantile of the corpus, or open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float | None = Field(default=None, ge=-1, le=1, description="similarity at least")
    max: float | None = Field(default=None, ge=-1, le=1, description="similarity at most")
    min_quantile: float | None = Field(
        default=None, ge=0, le=1, description="the same as a quantile of the scores in the corpus' neighbour lists"
    )
    max_quantile: float | None = Field(
        default=None, ge=0, le=1, description="the same as a quantile of the scores in the corpus' neighbour lists"
    )

    @model_validator(mode="after")
    def _ends_are_told_once(self) -> WindowConfig:
        for end in ("min", "max"):
            if getattr(self, end) is not None and getattr(self, f"{end}_quantile") is not None:
                raise ValueError(f"give {end} or {end}_quantile, not both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("the lower end of a window must lie below its upper end")
        if self.min_quantile is not None and self.max_quantile is not None and self.min_quantile >= self.max_quantile:
            raise ValueError("the lower end of a window must lie below its upper end")
        return self

    @property
    def by_quantile(self) -> bool:
        """Whether the corpus must be known before the window is."""
        return self.min_quantile is not None or self.max_quantile is not None


@dataclass(frozen=True, slots=True)
class Window:
    """A window as similarities of 4 decimals, both ends included."""

    low: float
    high: float

    def __contains__(self, score: object) -> bool:
        return isinstance(score, float) and self.low <= score <= self.high

    def span(self, scores: Sequence[float]) -> tuple[int, int]:
        """First place and place after the last of the scores inside; `scores` fall."""
        return bisect_left(scores, -self.high, key=neg), bisect_right(scores, -self.low, key=neg)

    def __str__(self) -> str:
        return f"[{self.low:.4f}, {self.high:.4f}]"


class ScoreCounts:
    """How often each score of 4 decimals stands in lists of neighbours."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: npt.NDArray[np.int64] = np.zeros(BINS, np.int64)
        for place, count in (counts or {}).items():
            self._counts[int(place)] += count

    def add(self, scores: Iterable[float] | npt.NDArray[np.float64]) -> None:
        """Count scores (cosines in -1…1)."""
        counted = scores if isinstance(scores, np.ndarray) else np.fromiter(scores, np.float64)
        places = np.rint((counted + 1) * _SCALE).astype(np.int64)
        self._counts += np.bincount(places, minlength=BINS)

    def merge(self, other: ScoreCounts) -> None:
        """Add the counts of another shard."""
        self._counts += other._counts

    def to_json(self) -> dict[str, int]:
        """The values that occur, as a manifest holds them: place → count."""
        return {str(place): int(self._counts[place]) for place in np.flatnonzero(self._counts)}

    @property
    def total(self) -> int:
        """How many scores were counted."""
        return int(self._counts.sum())

    def quantile(self, share: float) -> float:
        """The smallest score that at least `share` of all do not pass; share 0 is the smallest of all.

        Raises ValueError where nothing was counted."""
        if not self.total:
            raise ValueError("no scores were counted")
        reached = np.cumsum(self._counts)
        place = int(np.searchsorted(reached, max(1.0, share * self.total)))
        return round(place / _SCALE - 1, DECIMALS)

    def within(self, window: Window) -> int:
        """How many scores lie in a window."""
        first, last = (int(np.rint((end + 1) * _SCALE)) for end in (window.low, window.high))
        return int(self._counts[max(first, 0) : last + 1].sum())


def resolve_window(config: WindowConfig, counts: ScoreCounts, name: str) -> Window:
    """The window as similarities. Raises ConfigurationError where it keeps none of the scores that there are.

    `name` is the setting's, for the sentence."""
    if not counts.total:
        return Window(-1.0, 1.0)
    low = config.min if config.min_quantile is None else counts.quantile(config.min_quantile)
    high = config.max if config.max_quantile is None else counts.quantile(config.max_quantile)
    window = Window(-1.0 if low is None else round(low, DECIMALS), 1.0 if high is None else round(high, DECIMALS))
    if not counts.within(window):
        lowest, half, highest = (counts.quantile(share) for share in (0.0, 0.5, 1.0))
        raise ConfigurationError(
            f"{name} keeps nothing: no two neighbours have a similarity in {window}; those of this corpus lie between "
            f"{lowest:.4f} and {highest:.4f}, half of them below {half:.4f}: move the window, or give quantiles."
        )
    return window
