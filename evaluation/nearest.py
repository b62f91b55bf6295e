"""The first k of large galleries: candidates from faiss in float32, the order from exact scores.

faiss alone does not settle ties, and its float32 sums depend on how it cuts the work. Here it only proposes; a proposal
stands where its error bound proves that nothing outside could be among the first k, otherwise all scores are computed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence

import numpy as np

from evaluation.ranking import Gallery, IntArray, first_k
from schemas.protocols import Float32Array

#: From so many images on proposals are worth their proof (`python -m benchmarks.evaluate` measures it).
LARGE = 20_000
#: Proposals beyond the first k.
_MARGIN = 64
_BLOCK = 1 << 16
_QUERIES = 1024


def nearest(
    gallery: Gallery, queries: Float32Array, k: int, excluded: Sequence[IntArray] | None = None
) -> Iterator[IntArray]:
    """For each query (n, d) the numbers of its first k, as `first_k` orders them, without `excluded` ones."""
    use_faiss = gallery.size >= LARGE and importlib.util.find_spec("faiss") is not None
    for start in range(0, len(queries), _QUERIES):
        asked = queries[start : start + _QUERIES]
        out = [np.zeros(0, np.int64)] * len(asked) if excluded is None else excluded[start : start + len(asked)]
        proved = _proposed(gallery, asked, k, out) if use_faiss else [None] * len(asked)
        open_rows = [row for row, one in enumerate(proved) if one is None]
        rest = _exact(gallery, asked[open_rows], k, [out[row] for row in open_rows])
        for one in proved:
            yield next(rest) if one is None else one


def _exact(gallery: Gallery, queries: Float32Array, k: int, excluded: Sequence[IntArray]) -> Iterator[IntArray]:
    for start, block in gallery.score_blocks(queries):
        for number, scores in enumerate(block, start):
            scores[excluded[number]] = -np.inf
            yield first_k(scores, k)


def _proposed(gallery: Gallery, queries: Float32Array, k: int, excluded: Sequence[IntArray]) -> list[IntArray | None]:
    """The first k where they are proved, else None."""
    count = min(k + _MARGIN + max((len(one) for one in excluded), default=0), gallery.size)
    asked = gallery.prepared(queries)
    values, numbers = _search(gallery, asked.astype(np.float32), count)
    # Any order of float32 sums errs by no more than this much of the product of the lengths.
    error = (gallery.dimension + 8) * 2.0**-24 * np.linalg.norm(asked, axis=1) * gallery.longest
    found: list[IntArray | None] = []
    for start, scores in gallery.scores_of(queries, list(np.sort(numbers, axis=1))):
        for row, own in enumerate(scores, start):
            listed = np.sort(numbers[row])
            own[np.isin(listed, excluded[row])] = -np.inf
            first = first_k(own, k)
            safe = count == gallery.size or (len(first) == k and own[first[-1]] > values[row, -1] + error[row])
            found.append(listed[first] if safe else None)
    return found


def _search(gallery: Gallery, queries: Float32Array, count: int) -> tuple[Float32Array, IntArray]:
    """The best `count` by faiss, block after block: values (n, count), descending, and numbers (n, count)."""
    import faiss

    values = np.zeros((len(queries), 0), np.float32)
    numbers = np.zeros((len(queries), 0), np.int64)
    for start in range(0, gallery.size, _BLOCK):
        vectors = gallery.vectors(slice(start, min(start + _BLOCK, gallery.size)))
        found, places = faiss.knn(queries, vectors, min(count, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
        values = np.concatenate([values, found], axis=1)
        numbers = np.concatenate([numbers, places + start], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :count]
        values, numbers = np.take_along_axis(values, order, 1), np.take_along_axis(numbers, order, 1)
    return values, numbers
