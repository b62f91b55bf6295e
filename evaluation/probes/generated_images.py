"""Does a model prefer generated images to real ones of the same content? After Xu et al. (SIGIR 2024), where a
gallery holds both and each kind in turn is what should be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.unit_vectors import Float64Array

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GeneratedBias:
    """mAP in percent where only the real, or only the generated, relevant images count as found; the other kind stays
    in the ranking as a wrong answer. `delta` = generated - real, in percentage points: above 0 the model prefers
    generated images. `relative` is `delta` in percent of the mean of the two (0 where both are 0). `preference` is the
    percentage of (query, real, generated) with both relevant where the generated image scores higher, ties half;
    without bias 50. `differences` holds each query's difference in the order of `queries`, for a paired test.
    `left_out` counts the queries that lack relevant images of either kind."""

    real: float
    generated: float
    delta: float
    relative: float
    preference: float
    queries: tuple[int, ...]
    differences: tuple[float, ...]
    left_out: int


def generated_bias(scores: npt.ArrayLike, relevant: Sequence[Sequence[int]], generated: npt.ArrayLike) -> GeneratedBias:
    """Compare real and generated copies in one gallery.

    `scores` n × m; `relevant[i]` the gallery indices that answer query i, of both kinds; `generated` m flags. Ties in
    a ranking go by ascending gallery index. Raises ValueError for shapes that do not fit, scores that are not finite,
    indices outside the gallery, and where no query has relevant images of both kinds."""
    table, flags = np.asarray(scores), np.asarray(generated)
    if table.ndim != 2 or flags.shape != (table.shape[1],) or len(relevant) != len(table):
        raise ValueError(
            f"scores have shape {table.shape}, flags {flags.shape}, relevant images are given for {len(relevant)} "
            "queries; n × m, m and n fit."
        )
    if not np.isin(flags, (0, 1)).all():
        raise ValueError("the column of generated images holds other values than true and false.")
    flags = flags.astype(bool)
    queries, reals, copies, preferred = [], [], [], []
    for query, indices in enumerate(relevant):
        row = table[query].astype(np.float64)
        if not np.isfinite(row).all():
            raise ValueError(f"scores of query {query} hold a value that is NaN or infinite.")
        answers = _answers(query, indices, len(row))
        if not (answers & flags).any() or not (answers & ~flags).any():
            continue
        order = np.argsort(-row, kind="stable")
        queries.append(query)
        reals.append(_average_precision((answers & ~flags)[order]))
        copies.append(_average_precision((answers & flags)[order]))
        preferred.append(_preference(row[answers & ~flags], row[answers & flags]))
    if not queries:
        raise ValueError("no query has relevant images of both kinds, real and generated.")
    real, copied = float(np.mean(reals)), float(np.mean(copies))
    middle = (real + copied) / 2
    pairs = np.sum(preferred, axis=0)
    return GeneratedBias(
        real=real,
        generated=copied,
        delta=copied - real,
        relative=100 * (copied - real) / middle if middle else 0.0,
        preference=float(100 * pairs[0] / pairs[1]),
        queries=tuple(queries),
        differences=tuple(copy - one for one, copy in zip(reals, copies, strict=True)),
        left_out=len(relevant) - len(queries),
    )


def _answers(query: int, indices: Sequence[int], gallery: int) -> BoolArray:
    answers = np.zeros(gallery, dtype=bool)
    for index in indices:
        if not 0 <= index < gallery:
            raise ValueError(f"query {query} names the image {index}; the gallery holds {gallery}.")
        answers[index] = True
    return answers


def _average_precision(hits: BoolArray) -> float:
    """Percent; `hits` in the order of the ranking, one at least."""
    ranks = np.flatnonzero(hits) + 1
    return float(100 * np.mean(np.arange(1, len(ranks) + 1) / ranks))


def _preference(real: Float64Array, generated: Float64Array) -> tuple[float, int]:
    """Pairs that the generated image wins (ties half), and all pairs."""
    difference = generated[None, :] - real[:, None]
    return float((difference > 0).sum() + (difference == 0).sum() / 2), difference.size
