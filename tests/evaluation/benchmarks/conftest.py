"""Made annotation files in the layouts of the benchmarks, and embeddings with scores of one's choosing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.embeddings import Embeddings
from evaluation.score import evaluate

Scores = Mapping[str, Mapping[str, float]]


def _by_scores(scores: Scores, gallery: Sequence[str] | None = None, rest: float = -0.5) -> Embeddings:
    """Embeddings whose inner products are these numbers: one axis an image. Images that a query does not name get
    `rest`; the gallery is every image that is named, or the one given."""
    images = list(gallery or dict.fromkeys(one for row in scores.values() for one in row))
    queries = np.array([[row.get(one, rest) for one in images] for row in scores.values()], np.float32)
    return Embeddings(tuple(scores), queries, tuple(images), np.eye(len(images), dtype=np.float32))


def _random(task, dimension: int = 16, seed: int = 0, scale: bool = True) -> Embeddings:
    """Random embeddings of every query and image of a task, of different lengths."""
    rng = np.random.default_rng(seed)

    def vectors(count: int):
        found = rng.standard_normal((count, dimension)).astype(np.float32)
        return found * rng.uniform(0.5, 2.0, (count, 1)).astype(np.float32) if scale else found

    queries, gallery = tuple(task.query_ids()), tuple(task.gallery_ids())
    return Embeddings(queries, vectors(len(queries)), gallery, vectors(len(gallery)))


def _order(embeddings: Embeddings, query: str, gallery: Sequence[str], cosine: bool = True) -> list[str]:
    """The ranking from its definition: by descending float32 score, then by place in `gallery`."""
    rows = {one: row for row, one in enumerate(embeddings.gallery_ids)}
    asked = embeddings.queries[embeddings.query_ids.index(query)].astype(np.float64)
    scores = {}
    for one in gallery:
        vector = embeddings.gallery[rows[one]].astype(np.float64)
        length = np.linalg.norm(asked) * np.linalg.norm(vector) if cosine else 1.0
        scores[one] = np.float32(asked @ vector / length)
    return sorted(gallery, key=lambda one: (-scores[one], gallery.index(one)))


def _score(name: str, root: Path, embeddings: Embeddings, protocol: str | None = None, split: str | None = None):
    benchmark = BENCHMARKS[name]
    task = benchmark.load(
        root, protocol or benchmark.protocols[0], split or benchmark.splits[0], embeddings.gallery_ids
    )
    return evaluate(task, embeddings)


def _write(root: Path, files: Mapping[str, object]) -> Path:
    """Write files below a folder: text as it is, bytes as they are, all else as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


@pytest.fixture
def by_scores() -> Callable[..., Embeddings]:
    """`_by_scores`."""
    return _by_scores


@pytest.fixture
def random_embeddings() -> Callable[..., Embeddings]:
    """`_random`."""
    return _random


@pytest.fixture
def order() -> Callable[..., list[str]]:
    """`_order`."""
    return _order


@pytest.fixture
def score() -> Callable[..., object]:
    """Load a benchmark with its defaults and score embeddings."""
    return _score


@pytest.fixture
def write() -> Callable[..., Path]:
    """`_write`."""
    return _write
