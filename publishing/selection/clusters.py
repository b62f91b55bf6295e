"""Clusters of rows by their vectors, and blocks of clusters that are small enough to be compared pairwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import MissingPackageError
from schemas.protocols import Float32Array

Int64Array = npt.NDArray[np.int64]

_MOST = 4096
_ROUNDS = 20
#: Rows a cluster from which its centre is learnt.
_SAMPLE = 256


def cluster_count(rows: int, wanted: int | None) -> int:
    """How many clusters so many rows get: the square root of the rows where nothing is said."""
    return max(1, min(rows, wanted or min(round(rows**0.5), _MOST)))


def k_means(vectors: Float32Array, clusters: int, seed: int) -> Int64Array:
    """The cluster of each of the vectors (n, d, unit length), int64 (n), by spherical k-means (faiss, one thread, a
    seeded sample): equal vectors in equal order have equal clusters. Numbers without rows are closed up.

    Raises MissingPackageError without faiss.
    """
    if clusters <= 1 or len(vectors) <= 1:
        return np.zeros(len(vectors), np.int64)
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError("faiss-cpu", "evaluate", "clustering") from error
    threads = faiss.omp_get_max_threads()
    # With several threads sums are cut in other places.
    faiss.omp_set_num_threads(1)
    try:
        model: Any = faiss.Kmeans(
            vectors.shape[1],
            min(clusters, len(vectors)),
            niter=_ROUNDS,
            seed=1 + seed,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=_SAMPLE,
        )
        contiguous = np.ascontiguousarray(vectors, np.float32)
        model.train(contiguous)
        _, nearest = model.index.search(contiguous, 1)
    finally:
        faiss.omp_set_num_threads(threads)
    return np.asarray(np.unique(nearest[:, 0], return_inverse=True)[1], np.int64)


def blocks(vectors: Float32Array, labels: Int64Array, most: int, seed: int) -> list[Int64Array]:
    """Each cluster's rows (ascending), large clusters cut into blocks of at most `most` rows: by k-means again, and by
    the rows' order where that parts nothing (equal vectors)."""
    order = np.argsort(labels, kind="stable")
    edges = np.flatnonzero(np.diff(labels[order])) + 1
    found: list[Int64Array] = []
    for rows in np.split(order, edges) if len(order) else []:
        found += _cut(vectors, rows.astype(np.int64), most, seed)
    return found


def _cut(vectors: Float32Array, rows: Int64Array, most: int, seed: int) -> list[Int64Array]:
    if len(rows) <= most:
        return [rows]
    labels = k_means(vectors[rows], -(-2 * len(rows) // most), seed)
    parts = [rows[labels == one] for one in range(int(labels.max()) + 1)]
    if max(len(one) for one in parts) > 0.9 * len(rows):
        return [rows[start : start + most] for start in range(0, len(rows), most)]
    return [piece for part in parts for piece in _cut(vectors, part, most, seed)]
