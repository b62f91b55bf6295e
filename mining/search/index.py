"""Indexes over the vectors of one part of a corpus: exact ones, and inverted lists whose cells all parts share.

An approximate index is trained once, on a sample that is chosen by hash; every part fills its own copy. What is found
for an image then does not depend on how the corpus is cut into parts: its candidates are the members of the cells that
lie nearest to it. Jégou, Douze and Schmid 2011; faiss (arXiv 2401.08281).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mining.miners.interface import Neighbours
from mining.search.vectors import LENGTH, ViewVectors
from schemas.errors import MissingPackageError
from schemas.protocols import Float32Array

#: What an index is asked for beyond k: scores are made exact afterwards, and equal ones are ordered by id.
_MORE = 16
#: Images that are searched at once.
_BLOCK = 1024
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
    """The empty index of a plan, trained on vectors float32 (n, d), as bytes. The same sample gives the same bytes."""
    faiss = load_faiss()
    dimension = sample.shape[1]
    cells = min(plan.cells, len(sample))
    quantizer = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, cells, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.niter, index.cp.seed, index.cp.spherical = _ROUNDS, 20240328, True
    index.cp.max_points_per_centroid = _PER_CELL
    index.cp.min_points_per_centroid = 1
    index.train(np.ascontiguousarray(sample, np.float32))
    return bytes(faiss.serialize_index(index))


def fill(trained: bytes, vectors: ViewVectors) -> bytes:
    """A trained index with the vectors of one part, as bytes."""
    faiss = load_faiss()
    index = faiss.deserialize_index(np.frombuffer(trained, np.uint8))
    index.add(vectors.search)
    return bytes(faiss.serialize_index(index))


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
        self._part = part
        if stored is None:
            self._index: Any = faiss.IndexFlatIP(part.search.shape[1] if len(part.ids) else 1)
            self._index.add(part.search)
        else:
            self._index = faiss.deserialize_index(np.frombuffer(stored, np.uint8))
            self._index.nprobe = probes

    def search(self, queries: ViewVectors, k: int) -> list[Neighbours]:
        """For each image of `queries` its k nearest of the part, itself left out: scores rounded to 4 decimals, ties by
        id. Fewer where the part (or the cells that were probed) has fewer."""
        if not len(self._part.ids) or not len(queries.ids):
            return [Neighbours((), ())] * len(queries.ids)
        wanted = min(k + 1 + _MORE, len(self._part.ids))
        found: list[Neighbours] = []
        for first in range(0, len(queries.ids), _BLOCK):
            block = queries.search[first : first + _BLOCK]
            _, places = self._index.search(block, wanted)
            rows = np.arange(first, first + len(block))
            scores = queries.scores(rows, self._part, np.maximum(places, 0))
            for own, near, similar in zip(queries.ids[first : first + _BLOCK], places, scores, strict=True):
                found.append(self._list(own, near, similar, k))
        return found

    def _list(self, own: str, places: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], k: int) -> Neighbours:
        ids = self._part.ids
        pairs = [
            (-score, ids[place])
            for place, score in zip(places.tolist(), scores.tolist(), strict=True)
            if place >= 0 and ids[place] != own
        ]
        pairs = sorted(pairs)[:k]
        return Neighbours(tuple(name for _, name in pairs), tuple(0.0 - score for score, _ in pairs))


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
    "LENGTH",
    "IndexPlan",
    "PartSearch",
    "choose_probes",
    "fill",
    "load_faiss",
    "merge",
    "plan_index",
    "recall",
    "train",
]
