"""What a study found."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["scored", "too few", "failed", "waiting"]


@dataclass(frozen=True)
class SeedScores:
    """The scores of one trained model, in percent."""

    seed: int
    metrics: Mapping[str, float]
    #: Its folder below the study's.
    folder: str
    #: Of training and scoring.
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """A run with the scores of its seeds."""

    name: str
    triplets: int
    pages: int
    status: Status
    share: float | None = None
    control: bool = False
    #: The data's settings that tell it from the training's own.
    data: Mapping[str, Any] = field(default_factory=dict)
    #: Why there are no scores.
    why: str = ""
    seeds: Sequence[SeedScores] = ()

    def values(self, metric: str) -> list[float]:
        """A metric, by seed."""
        return [one.metrics[metric] for one in self.seeds]

    def mean(self, metric: str) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values(metric))

    def deviation(self, metric: str) -> float | None:
        """The sample's standard deviation over seeds; None of a single one."""
        return statistics.stdev(self.values(metric)) if len(self.seeds) > 1 else None

    @property
    def scored(self) -> bool:
        """Whether it has scores."""
        return self.status == "scored"


@dataclass(frozen=True)
class StudyResult:
    """All runs, in the order of the study."""

    dataset: str
    title: str
    split: str
    queries: int
    gallery: int
    metric: str
    equal: bool
    #: Settings of the training that all runs share.
    training: Mapping[str, Any]
    runs: Sequence[RunResult]

    @property
    def scored(self) -> list[RunResult]:
        """Runs with scores, without controls."""
        return [one for one in self.runs if one.scored and not one.control]

    @property
    def controls(self) -> list[RunResult]:
        """Controls with scores."""
        return [one for one in self.runs if one.scored and one.control]

    def as_json(self) -> dict[str, Any]:
        """Everything, with mean and standard deviation of every metric over seeds."""
        found = asdict(self)
        for run, told in zip(self.runs, found["runs"], strict=True):
            names = list(run.seeds[0].metrics) if run.seeds else []
            told["mean"] = {name: run.mean(name) for name in names}
            told["deviation"] = {name: run.deviation(name) for name in names}
        return found
