"""What binary codes of the embeddings cost in a benchmark's own metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.codes import Method, loss_against_bits
from evaluation.result import Result
from evaluation.score import Matched, evaluate_queries
from evaluation.task import Task
from evaluation.unit_vectors import FloatArray
from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class CodeRow:
    """Codes of `bits` bits (None: the normalised float32 vectors) in one metric, percent; `loss` in percentage points;
    the worst and the best value over ties, which short codes have many of."""

    bits: int | None
    bytes_a_vector: int
    value: float
    loss: float
    worst: float
    best: float


def code_rows(
    task: Task, matched: Matched, metric: str, bits: Sequence[int], *, method: Method = "itq", seed: int = 0
) -> tuple[CodeRow, ...]:
    """The metric against bits, by Hamming distance over the whole gallery. ITQ learns from the gallery that is ranked.

    Raises ConfigurationError for more bits than dimensions, or a gallery too small to learn from."""
    held = matched.embeddings
    dimensions = held.gallery.shape[1]
    odd = [one for one in bits if not 1 <= one <= dimensions]
    if odd:
        raise ConfigurationError(f"codes of {odd[0]} bits cannot be made of {dimensions} dimensions: ask for fewer.")
    if len(held.gallery) < 2:
        raise ConfigurationError("codes need a gallery of two images at least.")
    bounds: list[tuple[float, float]] = []

    def score(queries: FloatArray, gallery: FloatArray) -> dict[str, float]:
        vectors = replace(held, queries=_float32(queries), gallery=_float32(gallery), controls={})
        result: Result = evaluate_queries(task, replace(matched, embeddings=vectors), vectors.queries, "dot")
        bounds.append(result.bounds[metric])
        return {metric: result.metrics[metric]}

    rows = loss_against_bits(held.queries, held.gallery, bits, score, method=method, seed=seed)
    return tuple(
        CodeRow(row.bits, row.bytes_a_vector, row.metrics[metric], row.loss[metric], *pair)
        for row, pair in zip(rows, bounds, strict=True)
    )


def _float32(vectors: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(vectors, np.float32)
