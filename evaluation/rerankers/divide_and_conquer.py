"""Divide and conquer over the clauses of a compound instruction, after the idea of NDCR (ACL 2023): split the text,
score each part, combine. The parts are scored by the retrieval model itself; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from evaluation.rerankers.clauses import Clause, split_clauses
from evaluation.rerankers.order import Int64Array, checked_ranking, descending
from evaluation.unit_vectors import Float64Array, checked

Combination = Literal["mean", "minimum"]

#: Texts (p) and gallery indices (k) → scores p × k.
ScoreTexts = Callable[[Sequence[str], Int64Array], npt.ArrayLike]

#: As in `evaluation.rerankers.superglobal`: scores that agree to this many decimals are equal.
_DECIMALS = 12


@dataclass(frozen=True)
class ClauseRanking:
    """All gallery indices, ranked anew, and the clauses that decided; fewer than two clauses leave the order as it
    was, unless one is negated."""

    ranking: Int64Array
    clauses: tuple[Clause, ...]
    changed: bool


def combine_clauses(
    whole: npt.ArrayLike,
    parts: npt.ArrayLike,
    negated: Sequence[bool],
    *,
    weight: float = 0.5,
    combination: Combination = "mean",
) -> Float64Array:
    """Scores k of the same candidates by the whole text (`whole` k) and by its p parts (`parts` p × k).

    Every row is standardised over the candidates (mean 0, standard deviation 1; a constant row gives zeros), since
    short texts score in other ranges than long ones; rows of `negated` parts change their sign. The parts combine by
    their `mean`, or by their `minimum`: all must hold, so the worst decides. The result is `(1 - weight) whole +
    weight parts`. Raises ValueError for shapes that do not fit and values that are not finite."""
    rows = checked(parts, "parts", (2,))
    total = checked(whole, "whole", (1,))
    if rows.shape != (len(negated), len(total)) or not len(negated):
        raise ValueError(f"whole has shape {total.shape}, parts {rows.shape}, negated {len(negated)}; k, p × k, p fit.")
    signs = np.where(np.asarray(negated, dtype=bool), -1.0, 1.0)[:, None]
    signed = signs * _standardised(rows)
    combined = signed.mean(axis=0) if combination == "mean" else signed.min(axis=0, initial=np.inf)
    return (1 - weight) * _standardised(total[None])[0] + weight * combined


def rerank_by_clauses(
    instruction: str,
    whole: npt.ArrayLike,
    score_texts: ScoreTexts,
    *,
    top: int = 50,
    weight: float = 0.5,
    combination: Combination = "mean",
    ranking: npt.ArrayLike | None = None,
) -> ClauseRanking:
    """Rank the `top` best of `whole` (m scores of the gallery by the whole query) anew by the instruction's clauses.

    `score_texts` gets the texts of the clauses and the indices of the candidates, best first, and gives their scores:
    the model's own, for instance the composed query of the reference image with the clause. `ranking` is the order
    to start from where it is not that of `whole` (the reference left out, say); only its indices are returned. Equal
    scores keep their order. Raises ValueError as `combine_clauses` does, and for `top` below 1."""
    if top < 1:
        raise ValueError(f"top is {top}; at least 1 is wanted.")
    scores = checked(whole, "whole", (1,))
    order = descending(scores) if ranking is None else checked_ranking(ranking, len(scores))
    clauses = tuple(split_clauses(instruction))
    candidates = order[:top]
    if len(candidates) == 0 or (len(clauses) < 2 and not any(clause.negated for clause in clauses)):
        return ClauseRanking(order, clauses, False)
    combined = combine_clauses(
        scores[candidates],
        score_texts([clause.text for clause in clauses], candidates),
        [clause.negated for clause in clauses],
        weight=weight,
        combination=combination,
    )
    again = candidates[descending(np.round(combined, _DECIMALS))]
    return ClauseRanking(np.concatenate([again, order[top:]]), clauses, not np.array_equal(again, candidates))


def _standardised(rows: Float64Array) -> Float64Array:
    if rows.shape[1] == 0:
        return rows
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = rows.std(axis=1, keepdims=True)
    # A row of equal values has a deviation of its rounding only.
    varies = deviation > 1e-12 * np.abs(rows).max(axis=1, keepdims=True)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=varies)
