"""A retriever's scores on a split of a dataset: the evaluator's metrics of each target among the split's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from evaluation.benchmarks.target_search import Row as Query
from evaluation.benchmarks.target_search import target_part
from evaluation.embeddings import Embeddings
from evaluation.result import Result
from evaluation.score import evaluate
from evaluation.task import ImageFile, Task
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from training.data.sources import Sources
from training.embedding import embed
from training.items import Item, Row
from training.models.interface import Retriever

METRICS = ("R@1", "R@5", "R@10", "mAP@10")
#: The half of every query that a model does not see.
Hidden = Literal["none", "image", "text"]


@dataclass(frozen=True)
class ScoredSplit:
    """Queries of a split (each row with its first text) in the gallery of its images."""

    rows: Sequence[Row]
    sources: Sources
    #: Name in `sources.others` of the model that embeds the gallery, where it is not the one that is scored.
    teacher: str | None = None

    @property
    def gallery(self) -> range:
        """Numbers of the gallery's images: all of the split's."""
        return range(len(self.sources.images))

    def task(self) -> Task:
        """What the evaluator measures: R@k, mAP@10 and mAP of the target, the query's own image taken out."""
        queries = [Query(one.row_id, str(one.query), str(one.target), one.texts[0]) for one in self.rows]
        gallery = tuple(str(number) for number in self.gallery)
        part = target_part(Path("the split"), queries, gallery, "the split's images", lambda name: ImageFile((name,)))
        return Task("lensmith", "official", "validation", (part,))

    def evaluate(self, queries: Float32Array, gallery: Float32Array) -> Result:
        """Metrics of query embeddings (n, d) against the gallery's (m, d)."""
        ids = tuple(one.row_id for one in self.rows)
        return evaluate(self.task(), Embeddings(ids, queries, tuple(str(one) for one in self.gallery), gallery), None)


def check_metric(setting: str, metric: str, split: ScoredSplit) -> None:
    """Raise ConfigurationError for a metric that the evaluator does not have: one query is scored for the names."""
    one = replace(split, rows=split.rows[:1])
    names = one.evaluate(np.ones((1, 1), np.float32), np.ones((len(split.gallery), 1), np.float32)).metrics
    if metric not in names:
        raise ConfigurationError(f"{setting} {metric!r} is none of the evaluator's: there are {', '.join(names)}.")


def scores(model: Retriever, split: ScoredSplit, hide: Hidden = "none") -> dict[str, float]:
    """Every metric of a model, in percent, of queries without the half that is hidden."""
    return _scores(model, split, _gallery(model, split), hide)


def compare(model: Retriever, split: ScoredSplit) -> Mapping[str, dict[str, float]]:
    """Scores of a model beside itself with one half of each query."""
    gallery = _gallery(model, split)
    halves: dict[str, Hidden] = {"image and text": "none", "text only": "image", "image only": "text"}
    return {name: _scores(model, split, gallery, hide) for name, hide in halves.items()}


def _scores(model: Retriever, split: ScoredSplit, gallery: Float32Array, hide: Hidden) -> dict[str, float]:
    queries = [
        Item(None if hide == "image" else row.query, "" if hide == "text" else row.texts[0]) for row in split.rows
    ]
    return dict(split.evaluate(embed(model, queries, split.sources), gallery).metrics)


def _gallery(model: Retriever, split: ScoredSplit) -> Float32Array:
    if split.teacher is not None:
        found: Float32Array = split.sources.others[split.teacher].pooled(split.gallery).numpy()
        return found
    return embed(model, [Item(number) for number in split.gallery], split.sources)
