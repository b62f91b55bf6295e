"""A retriever's scores on a split of a dataset: the evaluator's metrics of each target among the split's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.benchmarks.target_search import Row as Query
from evaluation.benchmarks.target_search import target_part
from evaluation.embeddings import Embeddings
from evaluation.result import Result
from evaluation.score import evaluate
from evaluation.task import ImageFile, Task
from schemas.protocols import Float32Array
from training.data.sources import Sources
from training.embedding import embed
from training.items import Item, Row
from training.models.interface import Retriever

METRICS = ("R@1", "R@5", "R@10", "mAP@10")


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


def scores(model: Retriever, split: ScoredSplit) -> dict[str, float]:
    """Every metric of a model, in percent."""
    queries = [Item(one.query, one.texts[0]) for one in split.rows]
    return dict(split.evaluate(embed(model, queries, split.sources), _gallery(model, split)).metrics)


def compare(model: Retriever, split: ScoredSplit) -> Mapping[str, dict[str, float]]:
    """Scores of a model beside itself with one half of each query, and beside the bare image tower."""
    gallery = _gallery(model, split)
    halves = {
        "image and text": [Item(one.query, one.texts[0]) for one in split.rows],
        "text only": [Item(None, one.texts[0]) for one in split.rows],
        "image only": [Item(one.query) for one in split.rows],
    }
    return {
        name: dict(split.evaluate(embed(model, items, split.sources), gallery).metrics)
        for name, items in halves.items()
    }


def image_tower_scores(split: ScoredSplit) -> dict[str, float]:
    """Scores of the bare features of the query images: what is found without any training."""
    assert split.sources.image_features is not None
    features = split.sources.image_features.pooled(list(split.gallery)).numpy()
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    return dict(split.evaluate(unit[[one.query for one in split.rows]], unit).metrics)


def _gallery(model: Retriever, split: ScoredSplit) -> Float32Array:
    if split.teacher is not None:
        found: Float32Array = split.sources.others[split.teacher].pooled(split.gallery).numpy()
        return found
    return embed(model, [Item(number) for number in split.gallery], split.sources)
