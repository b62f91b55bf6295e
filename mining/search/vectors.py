"""Vectors of images in the views in which they are compared.

An index finds candidates by unit vectors in float32; scores, by which neighbours are ordered, are made anew of what is
exact. Cells of an approximate index are found by whole numbers: vectors are scaled to a length of 4,000 and rounded,
inner products then are below 2**24, and float32 sums them exactly in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mining.similarity import DECIMALS, SketchMatrix
from schemas.protocols import Float32Array

#: By Cauchy and Schwarz no partial sum of two such vectors' products passes 1.01 times its square.
LENGTH = 4000.0
#: Images whose neighbours' vectors are gathered at once: what a processor's cache holds is multiplied twice as fast.
_GATHERED = 8

VIEWS = ("image", "pattern", "caption", "text")


@dataclass(frozen=True)
class ViewVectors:
    """The vectors of one view: ids sorted (n), `search` unit vectors float32 (n, d), and what exact scores are made of:
    sketches as they are stored, or unit vectors float64."""

    ids: Sequence[str]
    search: Float32Array
    exact: SketchMatrix | npt.NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[ViewVectors]) -> ViewVectors:
        """The vectors of several sets without a common id, sorted by it."""
        filled = [part for part in parts if len(part.ids)]
        if not filled:
            return parts[0]
        ids = [one for part in filled for one in part.ids]
        search = np.concatenate([part.search for part in filled])
        sketched = [part.exact for part in filled if isinstance(part.exact, SketchMatrix)]
        if sketched:
            lengths = np.concatenate([one.lengths for one in sketched])
            exact: Any = SketchMatrix(np.concatenate([one.values for one in sketched]), lengths)
        else:
            exact = np.concatenate([part.exact for part in filled])
        return cls(ids, search, exact).take(sorted(range(len(ids)), key=ids.__getitem__))

    def take(self, rows: Sequence[int]) -> ViewVectors:
        """The vectors of some rows, in their order."""
        chosen = np.array(rows, np.int64)
        exact = (
            SketchMatrix(self.exact.values[chosen], self.exact.lengths[chosen])
            if isinstance(self.exact, SketchMatrix)
            else self.exact[chosen]
        )
        return ViewVectors([self.ids[row] for row in rows], self.search[chosen], exact)

    def scores(
        self, rows: npt.NDArray[np.int64], other: ViewVectors, others: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Cosines, rounded to 4 decimals, of rows (m) with `others` (m, k) of another set, float64 (m, k): the same
        numbers as the columns `visual_similarity` and `text_similarity` have."""
        if isinstance(self.exact, SketchMatrix):
            assert isinstance(other.exact, SketchMatrix)
            products = _products(self.exact.values, rows, other.exact.values, others).astype(np.float64)
            lengths = self.exact.lengths[rows][:, None] * other.exact.lengths[others]
            return np.round(products / np.where(lengths > 0, lengths, 1.0), DECIMALS)
        assert not isinstance(other.exact, SketchMatrix)
        return np.round(_products(self.exact, rows, other.exact, others), DECIMALS)


def _products(
    own: npt.NDArray[Any], rows: npt.NDArray[np.int64], other: npt.NDArray[Any], others: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Inner products of rows (m) of vectors with `others` (m, k) of other vectors, (m, k)."""
    found = np.empty(others.shape, own.dtype)
    for first in range(0, len(rows), _GATHERED):
        inside = slice(first, first + _GATHERED)
        found[inside] = np.matmul(other[others[inside]], own[rows[inside]][:, :, None])[:, :, 0]
    return found


@dataclass(frozen=True)
class ImageColumns:
    """What is known of images, sorted by id: of n their sketches int8 (n, s) and perceptual hashes uint64 (n), of the m
    that have a text its embedding float32 (m, t) of unit length. Sketches of patterns (n, p) and of captions (n, c) are
    zeros for an image that has none, and p and c are 0 where no image has one."""

    ids: Sequence[str]
    sketches: npt.NDArray[np.int8]
    hashes: npt.NDArray[np.uint64]
    texted: Sequence[str]
    texts: Float32Array
    patterns: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))
    captions: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))


def view_vectors(view: str, images: ImageColumns) -> ViewVectors:
    """The vectors of one view; images without a text or a caption, or whose features are all zero, are left out of it.
    The pattern is that of a model where images have one, else that of the hashes."""
    if view == "text":
        wide = images.texts.astype(np.float64)
        unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        return ViewVectors(images.texted, unit.astype(np.float32), unit)
    if view == "pattern" and not images.patterns.shape[1]:
        bits = hash_bits(images.hashes)
        return ViewVectors(images.ids, bits / np.float32(8.0), SketchMatrix(bits, np.full(len(bits), 8.0)))
    sketched = {"image": images.sketches, "pattern": images.patterns, "caption": images.captions}[view]
    rows = np.flatnonzero(sketched.any(axis=1))
    values = sketched[rows].astype(np.float32)
    lengths = np.sqrt(np.sum(values.astype(np.float64) ** 2, axis=1))
    unit = (values / lengths[:, None]).astype(np.float32)
    return ViewVectors([images.ids[row] for row in rows.tolist()], unit, SketchMatrix(values, lengths))


def whole(vectors: Float32Array) -> Float32Array:
    """Vectors (n, d) scaled to a length of 4,000 and rounded to whole numbers; zeros stay zeros."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled = wide / np.where(lengths > 0, lengths, 1.0) * LENGTH
    return np.rint(scaled).astype(np.float32)


def hash_bits(hashes: npt.NDArray[np.uint64]) -> Float32Array:
    """64-bit hashes (n) as +1 and -1, float32 (n, 64): the cosine of two is 1 - distance / 32."""
    raw = hashes.astype(">u8").view(np.uint8).reshape(len(hashes), 8)
    return np.unpackbits(raw, axis=1).astype(np.float32) * 2 - 1
