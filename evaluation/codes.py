"""Binary codes of embeddings, Hamming search over them, and what they cost in a benchmark's metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from evaluation.unit_vectors import Float64Array, FloatArray, checked, unit
from schemas.errors import MissingPackageError

Method = Literal["sign", "itq"]
Codes = npt.NDArray[np.uint8]

#: Vectors of queries (n × b) and of the gallery (m × b) → metrics (name → percent), ranked by their inner products.
Score = Callable[[FloatArray, FloatArray], Mapping[str, float]]

#: Rows that are in float64 at a time.
_BLOCK = 16384


@dataclass(frozen=True)
class Coder:
    """Bits are the signs of `(n(x) - mean) @ projection`, n the L2 normalisation: bit 1 where the value is 0 or more.

    `mean` d, `projection` d × bits, both float64."""

    method: Method
    mean: Float64Array
    projection: Float64Array

    @property
    def bits(self) -> int:
        """Bits of a code, without those that fill the last byte."""
        return self.projection.shape[1]

    def signs(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """n × d → n × bits of +1 and -1 (float32). Their inner product is bits - 2 × Hamming distance, exact: they
        rank as the codes do in anything that ranks by inner products."""
        vectors = np.asarray(embeddings)
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise ValueError(f"embeddings have shape {vectors.shape}; n × {len(self.mean)} are wanted.")
        signs = np.empty((len(vectors), self.bits), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            rows = unit(checked(vectors[block], "embeddings", (2,)))
            signs[block] = np.where((rows - self.mean) @ self.projection >= 0, 1, -1)
        return signs

    def encode(self, embeddings: npt.ArrayLike) -> Codes:
        """n × d → packed codes uint8 n × ceil(bits / 8), filled with zeros."""
        return np.packbits(self.signs(embeddings) > 0, axis=1)


def sign_coder(dimensions: int, bits: int | None = None, *, seed: int = 0) -> Coder:
    """Nothing is learned: the signs of the values themselves, or with fewer `bits` than `dimensions` those of their
    projections on random orthonormal directions. Raises ValueError for bits outside 1…dimensions."""
    count = _checked_bits(dimensions if bits is None else bits, dimensions)
    if count == dimensions:
        return Coder("sign", np.zeros(dimensions), np.eye(dimensions))
    return Coder("sign", np.zeros(dimensions), _rotation(dimensions, seed)[:, :count])


def itq_coder(embeddings: npt.ArrayLike, bits: int, *, seed: int = 0, iterations: int = 50) -> Coder:
    """Iterative quantisation (Gong and Lazebnik, CVPR 2011): principal components of the normalised, centred
    `embeddings` (n × d, n of 2 or more; those of a training set, or of the gallery), then the rotation that brings
    them nearest to the corners of a cube, found by turns from a random start.

    Equal input, seed and library give equal codes. Raises ValueError for bits outside 1…d and too few rows."""
    x = unit(checked(embeddings, "embeddings", (2,)))
    count = _checked_bits(bits, x.shape[1])
    if len(x) < 2:
        raise ValueError(f"{len(x)} embeddings cannot be learned from; 2 at least are wanted.")
    mean = x.mean(axis=0)
    centred = x - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    components = vectors[:, ::-1][:, :count]
    # An eigenvector's sign is free; the largest entry is made positive, so that libraries agree.
    largest = np.abs(components).argmax(axis=0)
    components = components * np.sign(components[largest, np.arange(count)])
    reduced = centred @ components
    rotation = _rotation(count, seed)
    for _ in range(iterations):
        corners = np.where(reduced @ rotation >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(corners.T @ reduced)
        rotation = right.T @ left.T
    return Coder("itq", mean, components @ rotation)


def hamming_search(queries: Codes, gallery: Codes, top: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The `top` nearest gallery codes of each query over faiss: distances (int32) and indices (int64), n × top, equal
    distances by ascending index; `top` above the gallery is cut.

    `queries` n × bytes, `gallery` m × bytes, from one coder's `encode`. Raises MissingPackageError without faiss and
    ValueError for codes that do not fit."""
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError("faiss-cpu", "evaluate", "search over binary codes") from error
    for name, codes in (("queries", queries), ("gallery", gallery)):
        if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != queries.shape[-1] or not codes.shape[1]:
            raise ValueError(f"{name} have shape {codes.shape} and type {codes.dtype}; n × bytes of uint8 are wanted.")
    if top < 1:
        raise ValueError(f"top is {top}; at least 1 is wanted.")
    count = min(top, len(gallery))
    if count == 0 or len(queries) == 0:
        return np.zeros((len(queries), count), np.int32), np.zeros((len(queries), count), np.int64)
    index: Any = faiss.IndexBinaryFlat(8 * gallery.shape[1])
    # Counting, not a heap: of equal distances it keeps the first, in their order.
    index.use_heap = False
    index.add(np.ascontiguousarray(gallery))
    distances, indices = index.search(np.ascontiguousarray(queries), count)
    return distances, indices


@dataclass(frozen=True)
class CodeLoss:
    """`metrics` with codes of `bits` bits, and `loss`: the metrics of the embeddings themselves less these, in the
    metrics' own unit. `bits` is None for the embeddings themselves."""

    bits: int | None
    bytes_a_vector: int
    metrics: Mapping[str, float]
    loss: Mapping[str, float]


def loss_against_bits(
    queries: npt.ArrayLike,
    gallery: npt.ArrayLike,
    bits: Sequence[int],
    score: Score,
    *,
    method: Method = "itq",
    training: npt.ArrayLike | None = None,
    seed: int = 0,
) -> list[CodeLoss]:
    """Any benchmark's metrics against the bits of a code; the first row is the embeddings themselves, float32.

    `queries` n × d, `gallery` m × d; `score` gets the vectors to rank by inner products (normalised embeddings first,
    then signs, see `Coder.signs`) and gives the metrics. ITQ learns from `training`, the gallery by default."""
    n, m = (
        unit(checked(array, name, (2,))).astype(np.float32)
        for array, name in ((queries, "queries"), (gallery, "gallery"))
    )
    base = dict(score(n, m))
    rows = [CodeLoss(None, 4 * n.shape[1], base, dict.fromkeys(base, 0.0))]
    for count in bits:
        if method == "sign":
            coder = sign_coder(n.shape[1], count, seed=seed)
        else:
            coder = itq_coder(m if training is None else training, count, seed=seed)
        found = dict(score(coder.signs(n), coder.signs(m)))
        rows.append(CodeLoss(count, -(-count // 8), found, {name: base[name] - found[name] for name in base}))
    return rows


def _checked_bits(bits: int, dimensions: int) -> int:
    if not 1 <= bits <= dimensions:
        raise ValueError(f"{bits} bits of {dimensions} dimensions are asked for; 1…{dimensions} can be made.")
    return bits


def _rotation(size: int, seed: int) -> Float64Array:
    """A random orthogonal matrix, the same for a seed everywhere."""
    square: npt.NDArray[Any] = np.random.default_rng(seed).normal(size=(size, size))
    q, r = np.linalg.qr(square)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
