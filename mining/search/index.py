"""Indexes over the vectors of one part of a corpus: exact ones, and inverted lists whose cells all parts share.

An approximate index is trained once, on a sample that is chosen by hash; every part fills its own copy. What is found
for an image then does not depend on how the corpus is cut into parts: of the members of the cells that lie nearest to
it the most similar by exact scores. Jégou, Douze and Schmid 2011; faiss (arXiv 2401.08281).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mining.miners.interface import Neighbours
from mining.search.vectors import ViewVectors, whole
from mining.similarity import DECIMALS
from schemas.errors import MissingPackageError
from schemas.protocols import Float32Array

#: What an index is asked for beyond k: scores are made exact afterwards, and equal ones are ordered by id.
_MORE = 16
#: By how much a product in float32 strays from the exact cosine at most, of vectors of 4,096 numbers; those of an
#: approximate index are stored in float16. To both comes the rounding of scores.
_FLOAT32, _FLOAT16, _ROUNDING = 2.0**-12, 2.0**-11, 0.51 * 10**-DECIMALS
#: Doubtful lists whose bounds lie in one step of this size are searched together.
_STEP = 1 / 256
#: Images that are searched at once, and numbers in a block of their products with cells.
_BLOCK, _PRODUCTS = 1024, 1 << 20
#: The same where all within a bound are found, which may be very many, and those that are scored at once.
_NEAR_BLOCK, _SCORED = 256, 1 << 14
#: A neighbour as one number: how far its score lies below 1 in steps of the last decimal, then its place.
_TOP, _PLACE_BITS, _NO_KEY = 10**DECIMALS, 40, np.iinfo(np.int64).max
#: Queries with which the number of probed cells is chosen.
_TRIED = 256
#: Rounds of k-means, and vectors of the sample for each cell at most.
_ROUNDS, _PER_CELL = 10, 64


@dataclass(frozen=True)
class IndexPlan:
    """How a view is searched: exactly (`cells` 0), or in as many cells as `aim` asks for of so many."""

    cells: int
    aim: float = 1.0

    @property
    def exact(self) -> bool:
        """Whether every vector is looked at."""
        return self.cells == 0


def plan_index(images: int, exact_up_to: int, aim: float) -> IndexPlan:
    """Settings by the size of the corpus: some 4 √n cells; `aim` is the recall that is wanted of the approximation."""
    if images <= exact_up_to:
        return IndexPlan(0)
    return IndexPlan(int(2 ** np.round(np.log2(4 * np.sqrt(images)))), aim)


def train(sample: Float32Array, plan: IndexPlan) -> bytes:
    """The empty index of a plan, trained on unit vectors float32 (n, d), as bytes. The same sample gives the same
    bytes. Centroids are whole numbers, so that the cells of an image never hang on the order of sums."""
    faiss = load_faiss()
    dimension = sample.shape[1]
    cells = min(plan.cells, len(sample))
    quantizer = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.niter, index.cp.seed, index.cp.spherical = _ROUNDS, 20240328, True
    index.cp.max_points_per_centroid = _PER_CELL
    index.cp.min_points_per_centroid = 1
    index.train(whole(sample))
    centroids = whole(quantizer.reconstruct_n(0, cells))
    quantizer.reset()
    quantizer.add(centroids)
    return bytes(faiss.serialize_index(index))


def cells_of(trained: bytes, vectors: ViewVectors) -> npt.NDArray[np.int64]:
    """For each vector (n) the number of the cell that lies nearest to it, int64 (n)."""
    if not len(vectors.ids):
        return np.zeros(0, np.int64)
    index = load_faiss().deserialize_index(np.frombuffer(trained, np.uint8))
    return nearest_cells(_centroids(index), vectors.search, 1)[:, 0]


def fill(trained: bytes, vectors: ViewVectors) -> bytes:
    """A trained index with the vectors of one part, as bytes."""
    faiss = load_faiss()
    index = faiss.deserialize_index(np.frombuffer(trained, np.uint8))
    cells = np.ascontiguousarray(nearest_cells(_centroids(index), vectors.search, 1)[:, 0])
    rows = np.ascontiguousarray(vectors.search)
    index.add_core(len(rows), faiss.swig_ptr(rows), None, faiss.swig_ptr(cells))
    return bytes(faiss.serialize_index(index))


def nearest_cells(centroids: Float32Array, vectors: Float32Array, count: int) -> npt.NDArray[np.int64]:
    """The `count` cells nearest to unit vectors (n, d), int64 (n, count), ties by the cell's number. Products of whole
    numbers are exact, so that no block shape moves an image to another cell."""
    cells = len(centroids)
    found = np.zeros((len(vectors), count), np.int64)
    block = max(1, _PRODUCTS // cells)
    for first in range(0, len(vectors), block):
        products = (whole(vectors[first : first + block]) @ centroids.T).astype(np.int64)
        keys = products * -cells + np.arange(cells)
        if count == 1:
            found[first : first + block, 0] = keys.argmin(axis=1)
            continue
        nearest = np.argpartition(keys, count - 1, axis=1)[:, :count] if count < cells else np.argsort(keys, axis=1)
        order = np.argsort(np.take_along_axis(keys, nearest, axis=1), axis=1)
        found[first : first + block] = np.take_along_axis(nearest, order, axis=1)
    return found


def choose_probes(trained: bytes, sample: ViewVectors, k: int, aim: float) -> int:
    """The smallest power of two of cells to look into that finds `aim` of the sample's k nearest neighbours, measured
    with at most 256 of its images as queries. All cells where nothing less does."""
    stored = fill(trained, sample)
    step = max(1, len(sample.ids) // _TRIED)
    queries = sample.take(range(0, len(sample.ids), step))
    exact = PartSearch(sample).search(queries, k)
    cells = int(load_faiss().deserialize_index(np.frombuffer(trained, np.uint8)).nlist)
    probes = 1
    while probes < cells and recall(PartSearch(sample, stored, probes).search(queries, k), exact) < aim:
        probes *= 2
    return min(probes, cells)


class PartSearch:
    """Searches one part: `stored` is what `fill` gave; without it the search is exact."""

    def __init__(self, part: ViewVectors, stored: bytes | None = None, probes: int = 0) -> None:
        faiss = load_faiss()
        self._part, self._probes = part, probes
        self._centroids: Float32Array | None = None
        if stored is None:
            self._index: Any = faiss.IndexFlatIP(max(1, part.search.shape[1]))
            if len(part.ids):
                self._index.add(part.search)
            self._slack = _FLOAT32 + _ROUNDING
        else:
            self._index = faiss.deserialize_index(np.frombuffer(stored, np.uint8))
            self._index.nprobe = probes
            self._centroids = _centroids(self._index)
            self._slack = _FLOAT32 + _FLOAT16 + _ROUNDING

    def search(self, queries: ViewVectors, k: int) -> list[Neighbours]:
        """For each image of `queries` its k nearest of the part (of the probed cells), itself left out: scores rounded
        to 4 decimals, ties by id. Fewer where the part (or its cells) has fewer."""
        if not len(self._part.ids) or not len(queries.ids) or k < 1:
            return [Neighbours((), ())] * len(queries.ids)
        lengths, places, scores = self.places(queries, k)
        names, ends = [self._part.ids[place] for place in places.tolist()], np.cumsum(lengths).tolist()
        values = scores.tolist()
        return [
            Neighbours(tuple(names[end - size : end]), tuple(values[end - size : end]))
            for end, size in zip(ends, lengths.tolist(), strict=True)
        ]

    def places(
        self, queries: ViewVectors, k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The same as columns: lengths of the lists int64 (n), and one list behind the other the neighbours' places in
        the part int64 (m) and their scores float64 (m)."""
        keys = np.full((len(queries.ids), k), _NO_KEY, np.int64)
        if len(self._part.ids) and k > 0:
            for first in range(0, len(queries.ids), _BLOCK):
                last = min(first + _BLOCK, len(queries.ids))
                found = self._block(queries.take(range(first, last)), k)
                keys[first:last, : found.shape[1]] = found
        there = keys < _NO_KEY
        return there.sum(axis=1), *_unpacked(keys[there])

    def _block(self, queries: ViewVectors, k: int) -> npt.NDArray[np.int64]:
        """Sorted keys int64 (n, k or fewer) of the neighbours of some images."""
        wanted = min(k + 1 + _MORE, len(self._part.ids))
        cells = None if self._centroids is None else nearest_cells(self._centroids, queries.search, self._probes)
        if cells is None:
            products, places = self._index.search(queries.search, wanted)
        else:
            products, places = self._index.search_preassigned(queries.search, wanted, cells, _nothing(cells))
        scores = queries.scores(np.arange(len(queries.ids)), self._part, np.maximum(places, 0))
        own = np.array([self._place(image_id) for image_id in queries.ids], np.int64)
        found = _keys(own[:, None], places, scores, k)
        if wanted < len(self._part.ids):
            # A list is sure if what the index left out cannot come up to its last score.
            last = found[:, k - 1] if found.shape[1] == k else np.full(len(found), _NO_KEY)
            bounds = np.where(last < _NO_KEY, (_TOP - (last >> _PLACE_BITS)) / _TOP, -1.0)
            doubtful = (places[:, -1] >= 0) & (bounds - self._slack <= products[:, -1])
            self._widen(queries, np.flatnonzero(doubtful), bounds, cells, own, found)
        return found

    def _widen(
        self,
        queries: ViewVectors,
        doubtful: npt.NDArray[np.int64],
        bounds: npt.NDArray[np.float64],
        cells: npt.NDArray[np.int64] | None,
        own: npt.NDArray[np.int64],
        found: npt.NDArray[np.int64],
    ) -> None:
        """Make doubtful lists anew, of all images that may come up to their last scores: there can be many, where
        hashes or texts are equal."""
        steps = np.floor((bounds[doubtful] - self._slack) / _STEP).astype(np.int64)
        for step in np.unique(steps):
            rows = doubtful[steps == step]
            radius = float(step * _STEP) - 1e-6
            near = self._inside(queries.search[rows], None if cells is None else cells[rows], radius)
            for row, inside in zip(rows.tolist(), near, strict=True):
                scores = queries.scores(np.array([row]), self._part, inside[None, :])
                keys = _keys(own[row], inside[None, :], scores, found.shape[1])[0]
                found[row, : len(keys)] = keys

    def near(
        self, queries: ViewVectors, bound: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """All images of the part (of the probed cells) whose scores, rounded to 4 decimals, are at least `bound`, the
        image itself left out: columns as those of `places`, the nearest first, ties by id."""
        lengths = np.zeros(len(queries.ids), np.int64)
        keys = [np.zeros(0, np.int64)]
        count = len(queries.ids) if len(self._part.ids) else 0
        for first in range(0, count, _NEAR_BLOCK):
            block = queries.take(range(first, min(first + _NEAR_BLOCK, count)))
            cells = None if self._centroids is None else nearest_cells(self._centroids, block.search, self._probes)
            found = self._inside(block.search, cells, bound - self._slack - 1e-6)
            for row, inside in enumerate(found):
                own = self._place(block.ids[row])
                others = inside[inside != own]
                if len(others):
                    scores = self._scores(block, row, others)
                    met = scores >= bound
                    keys.append(_keys(own, others[met][None], scores[met][None], len(others))[0])
                    lengths[first + row] = len(keys[-1])
        return lengths, *_unpacked(np.concatenate(keys))

    def _inside(
        self, vectors: Float32Array, cells: npt.NDArray[np.int64] | None, radius: float
    ) -> list[npt.NDArray[np.int64]]:
        """For each vector the places whose products as the index has them lie above a radius, in no order."""
        rows = np.ascontiguousarray(vectors)
        if cells is None:
            limits, _, places = self._index.range_search(rows, radius)
        else:
            near = np.ascontiguousarray(cells)
            limits, _, places = self._index.range_search_preassigned(rows, radius, near, _nothing(near))
        return [places[int(start) : int(end)] for start, end in pairwise(limits)]

    def _scores(self, queries: ViewVectors, row: int, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Exact scores of one image with places (n) of the part, block after block."""
        blocks = [places[start : start + _SCORED] for start in range(0, len(places), _SCORED)]
        return np.concatenate([queries.scores(np.array([row]), self._part, block[None])[0] for block in blocks])

    def _place(self, image_id: str) -> int:
        """Where an image stands in the part, -1 where it does not."""
        place = bisect_left(self._part.ids, image_id)
        return place if place < len(self._part.ids) and self._part.ids[place] == image_id else -1


def _keys(own: Any, places: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """Neighbours as numbers that sort as lists do, by score and then by place, which is the order of ids: int64 (n, k
    or fewer), sorted, none at the end. `places` and `scores` are (n, m), `own` the images' own places."""
    ranks = _TOP - np.rint(scores * _TOP).astype(np.int64)
    keys = np.where((places < 0) | (places == own), _NO_KEY, (ranks << _PLACE_BITS) | places)
    keys.sort(axis=1)
    return keys[:, :k]


def _unpacked(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Places and scores of neighbours (n) that are there."""
    return keys & ((1 << _PLACE_BITS) - 1), (_TOP - (keys >> _PLACE_BITS)) / _TOP


def _centroids(index: Any) -> Float32Array:
    centroids: Float32Array = load_faiss().downcast_index(index.quantizer).reconstruct_n(0, index.nlist)
    return centroids


def _nothing(cells: npt.NDArray[np.int64]) -> Float32Array:
    """Distances to cells, which an index without residuals has no use for."""
    return np.zeros(cells.shape, np.float32)


def merge(lists: Sequence[Neighbours], k: int) -> Neighbours:
    """The k nearest of lists that parts gave for one image, ties by id."""
    pairs = sorted((-score, name) for one in lists for name, score in zip(one.ids, one.scores, strict=True))[:k]
    return Neighbours(tuple(name for _, name in pairs), tuple(0.0 - score for score, _ in pairs))


def recall(found: Sequence[Neighbours], exact: Sequence[Neighbours]) -> float:
    """Share of the exact neighbours that were found; another image with as high a score as the last counts as it.
    1.0 where there are none."""
    hits = wanted = 0
    for one, best in zip(found, exact, strict=True):
        wanted += len(best.ids)
        if best.ids:
            hits += min(len(best.ids), sum(score >= best.scores[-1] for score in one.scores))
    return hits / wanted if wanted else 1.0


def load_faiss() -> Any:
    """faiss on one thread. Raises MissingPackageError without it."""
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError("faiss-cpu", "mine", "searching a corpus for neighbours") from error
    faiss.omp_set_num_threads(1)
    return faiss


__all__ = [
    "IndexPlan",
    "PartSearch",
    "choose_probes",
    "fill",
    "load_faiss",
    "merge",
    "nearest_cells",
    "plan_index",
    "recall",
    "train",
]
