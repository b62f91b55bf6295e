"""Similarities of images (from their sketches) and of texts (from their embeddings), rounded before any threshold.

Sketches are int8, so that their products are whole numbers below 2**24 and float32 sums of them are exact in any
order; texts are compared in float64. So no library, thread count or batch shape moves a pair over a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

#: Decimals that thresholds see and tables store.
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class SketchMatrix:
    """Sketches as rows: whole numbers in float32 (n, d) and their lengths in float64 (n)."""

    values: Float32Array
    lengths: Float64Array


def sketch_matrix(sketches: Sequence[bytes]) -> SketchMatrix:
    """Sketches (n, of equal length, int8) as a matrix. Raises ValueError if their lengths differ."""
    if not sketches:
        return SketchMatrix(np.zeros((0, 0), np.float32), np.zeros(0, np.float64))
    rows = np.stack([np.frombuffer(sketch, np.int8) for sketch in sketches]).astype(np.float32)
    return SketchMatrix(rows, np.sqrt(np.sum(rows.astype(np.float64) ** 2, axis=1)))


def cosines(first: SketchMatrix, second: SketchMatrix) -> Float64Array:
    """Cosines of sketches, float64 (n, m), rounded to 4 decimals; 0 where a sketch is all zeros."""
    if not len(first.lengths) or not len(second.lengths):
        return np.zeros((len(first.lengths), len(second.lengths)), np.float64)
    products = (first.values @ second.values.T).astype(np.float64)
    lengths = np.outer(first.lengths, second.lengths)
    return np.round(products / np.where(lengths > 0, lengths, 1.0), DECIMALS)


def text_similarities(embeddings: Sequence[Float32Array | None]) -> Float64Array:
    """Cosines of texts' embeddings, float64 (n, n), rounded to 4 decimals; NaN where a text is missing."""
    result = np.full((len(embeddings), len(embeddings)), np.nan, np.float64)
    present = [index for index, embedding in enumerate(embeddings) if embedding is not None]
    if present:
        vectors = np.stack([embedding for embedding in embeddings if embedding is not None]).astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        result[np.ix_(present, present)] = np.round(vectors @ vectors.T, DECIMALS)
    return result
