"""The one metric of each benchmark by which queries, methods and codes are set in order."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.result import Result
from schemas.errors import ConfigurationError

#: By benchmark, the first of these names that a result holds.
HEADLINES: Mapping[str, tuple[str, ...]] = {
    "fashioniq": ("average/R@10",),
    "cirr": ("R@1",),
    "circo": ("mAP@5",),
    "genecis": ("average/R@1",),
    "dtin": ("average/R@10", "average/hit@10"),
    "tuberlin": ("mAP@all",),
    "inquire": ("AP@50",),
    "inquire-rerank": ("AP@100",),
    "gpr1200": ("mAP",),
    "gldv2": ("mAP@100",),
    "roxford": ("medium/mAP",),
    "rparis": ("medium/mAP",),
    "lensmith": ("R@10",),
    "lensmith-chains": ("final/R@10",),
    "mtcir": ("R@10",),
}


def headline(result: Result, asked: str | None = None) -> str:
    """The name of the result's main metric, or the one asked for. Raises ConfigurationError where it holds no such."""
    if asked is not None:
        if asked not in result.metrics:
            raise ConfigurationError(f"there is no metric {asked!r}: the result holds {', '.join(result.metrics)}.")
        return asked
    known = (*HEADLINES.get(result.benchmark, ()), *result.averages, *result.metrics)
    return next(name for name in known if name in result.metrics)


def parts_of(result: Result, metric: str) -> tuple[str, ...]:
    """The metrics of queries that a metric is made of: those an average names, or itself."""
    return result.averages.get(metric, (metric,))
