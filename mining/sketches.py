"""Sketches of feature vectors: few int8 numbers whose cosine is that of the vectors, small enough for an index step.

Vectors of up to 448 numbers are quantised as they are; longer ones go through a subsampled randomised Hadamard
transform (Ailon and Chazelle 2006): random signs, a Walsh-Hadamard transform, 448 of its rows. Cosines of sketches
then stray from those of the vectors by 0.04 at most where the vectors are unrelated (standard deviation), and by less
the more they are alike.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from schemas.protocols import Float32Array

#: Numbers, and bytes, of a sketch at most.
SIZE = 448


def sketches(features: Float32Array) -> npt.NDArray[np.int8]:
    """Features float32 (n, d) → sketches int8 (n, min(d, 448)); vectors of zeros, or not finite, give zeros."""
    features = np.where(np.isfinite(features).all(axis=1, keepdims=True), features, np.float32(0.0))
    vectors = features if features.shape[1] <= SIZE else _transformed(features)
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    scaled = vectors / np.where(largest > 0, largest, 1.0) * 127.0
    return np.round(scaled).astype(np.int8)


def _transformed(features: Float32Array) -> Float32Array:
    count, dimension = features.shape
    padded = 1 << (dimension - 1).bit_length()
    signs, rows = _choice(dimension, padded)
    values = np.zeros((count, padded), np.float32)
    values[:, :dimension] = features * signs
    step = 1
    while step < padded:
        pairs = values.reshape(count, -1, 2, step)
        values = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
        values = values.reshape(count, padded)
        step *= 2
    return values[:, rows]


@lru_cache(maxsize=8)
def _choice(dimension: int, padded: int) -> tuple[Float32Array, npt.NDArray[np.int64]]:
    """Signs and rows from SHA-256, so that no library's generator can change them."""
    bits = np.unpackbits(np.frombuffer(_stream(b"signs", (dimension + 7) // 8), np.uint8))[:dimension]
    ranks = np.frombuffer(_stream(b"rows", padded * 8), ">u8")
    rows = np.sort(np.argsort(ranks, kind="stable")[:SIZE])
    return (bits.astype(np.float32) * 2.0 - 1.0), rows


def _stream(name: bytes, size: int) -> bytes:
    blocks = (
        hashlib.sha256(b"lensmith sketch " + name + str(index).encode()).digest() for index in range(size // 32 + 1)
    )
    return b"".join(blocks)[:size]
