"""The best and the worst queries of a result, with what was found and what should have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.ranking import Gallery, Similarity, first_k, places
from evaluation.report.headline import parts_of
from evaluation.result import Float64Array, Result
from evaluation.score import BuildGallery, Galleries, Matched, score_blocks
from evaluation.task import ImageFile, IntArray, Part, QueryInput, Task
from schemas.protocols import Float32Array

#: So many queries of a part are looked at more closely, where more than that have the same value.
_CLOSELY = 4096


@dataclass(frozen=True)
class Found:
    """An image of the gallery: its id, its file if known, and whether it is right."""

    image_id: str
    image: ImageFile | None
    right: bool


@dataclass(frozen=True)
class Case:
    """One query: `values` of its metrics in percent; `rank` of the first right image among all that are ranked;
    `margin`, how much more the best right image scores than the best wrong one; the first images of the ranking; and
    the right ones, a few."""

    query_id: str
    part: str
    values: tuple[tuple[str, float], ...]
    rank: int
    margin: float
    text: tuple[str, ...]
    image: ImageFile | None
    first: tuple[Found, ...]
    right: tuple[Found, ...]


def best_and_worst(
    task: Task,
    matched: Matched,
    result: Result,
    metric: str,
    *,
    similarity: Similarity | None = None,
    build: BuildGallery = Gallery,
    count: int = 6,
    top: int = 5,
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """The `count` best and worst queries of the parts that `metric` is made of, each with its first `top` images.

    A query is the better the higher the mean of its part's metrics, then the lower the rank of its first right image,
    then the larger the margin. Queries without any right image are left out. Where more than a few thousand have the
    extreme value, ranks are looked up for evenly spaced ones of them. Ties go by id."""
    found: list[Case] = []
    names = set(parts_of(result, metric))
    galleries = Galleries(matched, similarity or task.similarity, build)
    for part, measured in zip(task.parts, result.queries, strict=True):
        if not names & set(measured.values) or part.relevant is None:
            continue
        table = np.stack(list(measured.values.values()))
        known = ~np.isnan(table)
        mean: Float64Array = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        answered = np.array([len(one) > 0 for one in part.relevant]) & known.any(axis=0)
        chosen = _candidates(mean, np.flatnonzero(answered))
        part_of = _only(part, chosen)
        for start, block in score_blocks(part_of, matched, matched.embeddings.queries, galleries.of(part_of)):
            for number, scores in enumerate(block, start):
                row = int(chosen[number])
                values = tuple((name, float(one[row])) for name, one in measured.values.items() if _known_at(one, row))
                found.append(_case(part_of, number, scores, values, top))
    found.sort(key=lambda one: (-_mean(one), one.rank, -one.margin, one.query_id))
    best = found[:count]
    return tuple(best), tuple(found[len(best) :][::-1][:count])


def _known_at(values: Float64Array, row: int) -> bool:
    """Whether a query has a value in a metric."""
    return not np.isnan(values[row])


def _mean(case: Case) -> float:
    return sum(value for _, value in case.values) / len(case.values)


def _candidates(mean: Float64Array, rows: IntArray) -> IntArray:
    """Those of `rows` that can be best or worst, spaced evenly where they are very many."""
    if len(rows) <= 2 * _CLOSELY:
        return rows
    order = rows[np.argsort(mean[rows], kind="stable")]
    chosen = []
    for half, edge in ((order, mean[order[0]]), (order[::-1], mean[order[-1]])):
        equal = np.sort(half[mean[half] == edge])
        if len(equal) < _CLOSELY:
            chosen.append(half[:_CLOSELY])
        else:
            chosen.append(equal[np.linspace(0, len(equal) - 1, _CLOSELY).astype(np.int64)])
    return np.unique(np.concatenate(chosen))


def _only(part: Part, rows: IntArray) -> Part:
    """A part with the queries `rows` alone."""
    numbers = [int(row) for row in rows]
    asked = part.query_input

    def query_input(number: int) -> QueryInput:
        assert asked is not None
        return asked(numbers[number])

    def chosen(lists: Sequence[IntArray] | None) -> list[IntArray] | None:
        return None if lists is None else [lists[row] for row in numbers]

    return replace(
        part,
        queries=[part.queries[row] for row in numbers],
        relevant=chosen(part.relevant),
        excluded=chosen(part.excluded),
        candidates=chosen(part.candidates),
        query_input=None if asked is None else query_input,
    )


def _case(part: Part, number: int, scores: Float32Array, values: tuple[tuple[str, float], ...], top: int) -> Case:
    assert part.relevant is not None
    own = None if part.candidates is None else part.candidates[number]
    listed = scores if own is None else scores[: len(own)]
    relevant = part.relevant[number]
    right = {int(one) for one in relevant}
    ranking = places(listed, relevant)
    wrong = np.delete(listed, relevant)
    margin = float(listed[relevant].max() - wrong.max()) if len(wrong) else 0.0

    def found(item: int) -> Found:
        name = part.gallery[item if own is None else int(own[item])]
        image = part.gallery_image(name) if part.gallery_image else None
        return Found(name, image, item in right)

    asked = part.query_input(number) if part.query_input else QueryInput()
    return Case(
        part.queries[number],
        part.name,
        values,
        int(ranking.ranks[0][0]),
        margin,
        tuple(dict.fromkeys(text for text in asked.fields.values() if text)),
        asked.image,
        tuple(found(int(item)) for item in first_k(listed, top)),
        tuple(found(int(item)) for item in ranking.items[:3]),
    )
