"""A gallery whose best are ranked anew, for the scoring of whole benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from evaluation.ranking import Gallery, IntArray, Similarity, first_k
from evaluation.rerankers.superglobal import BETA, NEIGHBOURS, TOP, superglobal
from evaluation.unit_vectors import unit
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

#: Above every cosine: the images that were ranked anew stay before the others.
_ABOVE = 2.0


class SuperglobalGallery(Gallery):
    """Vectors (m, d) whose `top` best are ranked anew for every query by `superglobal`.

    Their scores are 2 and more, by their place; the others keep their cosines. What a benchmark takes out of its
    rankings afterwards, such as CIRR's reference, has been among the neighbours. Raises ConfigurationError for plain
    inner products, on which the method is not defined."""

    def __init__(
        self,
        vectors: Float32Array,
        rows: IntArray | None = None,
        similarity: Similarity = "cosine",
        *,
        top: int = TOP,
        neighbours: int = NEIGHBOURS,
        beta: float = BETA,
    ) -> None:
        if similarity != "cosine":
            raise ConfigurationError("SuperGlobal reranks cosines only: add --similarity cosine.")
        super().__init__(vectors, rows, similarity)
        self._top = top
        self._rerank = partial(superglobal, top=top, neighbours=neighbours, beta=beta)

    def score_blocks(self, queries: Float32Array) -> Iterator[tuple[int, Float32Array]]:
        """Blocks of queries (n, d): the first one's number and scores float32 (b, m)."""
        for start, block in super().score_blocks(queries):
            for row, scores in enumerate(block):
                self._raise(queries[start + row], scores, None)
            yield start, block

    def scores_of(self, queries: Float32Array, items: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]:
        """The same for queries with lists of their own."""
        for start, block in super().scores_of(queries, items):
            for row, scores in enumerate(block):
                self._raise(queries[start + row], scores, items[start + row])
            yield start, block

    def _raise(self, query: Float32Array, scores: Float32Array, listed: IntArray | None) -> None:
        """Change the scores of the best of one row."""
        # By ascending number, so that ties fall as in the gallery.
        best = np.sort(first_k(scores, self._top))
        vectors: Any = unit(self._part(best if listed is None else listed[best]))
        order = self._rerank(unit(query.astype(np.float64)), vectors)
        scores[best[order]] = _ABOVE + np.arange(len(best), 0, -1)
