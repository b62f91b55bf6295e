"""Scores embeddings on a task: ids are matched, every query is ranked, values become percentages with bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.embeddings import Embeddings, shown
from evaluation.nearest import nearest
from evaluation.ranking import Gallery, Similarity, first_k, places, target_ranks
from evaluation.result import Float64Array, QueryValues, Result
from evaluation.task import IntArray, Part, Task, Values
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

_NEVER = np.iinfo(np.int64).max

#: Vectors, rows of them and a similarity to a gallery.
BuildGallery = Callable[[Float32Array, IntArray, Similarity], Gallery]


@dataclass(frozen=True)
class Matched:
    """Embeddings found for a task: rows of queries and gallery by id, and how many ids were ignored."""

    embeddings: Embeddings
    query_rows: Mapping[str, int]
    gallery_rows: Mapping[str, int]
    ignored_queries: int
    ignored_gallery: int


def match(task: Task, embeddings: Embeddings) -> Matched:
    """Check that embeddings and task fit. Raises ConfigurationError that names ids which are missing, or which the
    annotation files do not name."""
    if task.queries_are_gallery and not embeddings.query_ids:
        embeddings = Embeddings(embeddings.gallery_ids, embeddings.gallery, embeddings.gallery_ids, embeddings.gallery)
    required_queries, required_gallery = task.query_ids(), task.gallery_ids()
    query_rows = {one: row for row, one in enumerate(embeddings.query_ids)}
    gallery_rows = {one: row for row, one in enumerate(embeddings.gallery_ids)}
    ignored = []
    for kind, held, required, ignorable in (
        ("query", query_rows, required_queries, task.ignorable_queries),
        ("gallery", gallery_rows, required_gallery, task.ignorable_gallery),
    ):
        missing = [one for one in required if one not in held]
        others = [one for one in held if one not in required]
        unknown = [one for one in others if one not in ignorable]
        told = f"{task.benchmark} ({task.protocol}, {task.split})"
        if missing:
            raise ConfigurationError(f"the embeddings lack {len(missing)} {kind} ids of {told}: {shown(missing)}.")
        if unknown:
            raise ConfigurationError(
                f"the embeddings hold {len(unknown)} {kind} ids that the annotation files of {told} do not name: "
                f"{shown(unknown)}."
            )
        ignored.append(len(others))
    return Matched(embeddings, query_rows, gallery_rows, *ignored)


def evaluate(
    task: Task, embeddings: Embeddings, similarity: Similarity | None = None, build: BuildGallery = Gallery
) -> Result:
    """The official numbers of a task; `build` makes galleries that rank in a way of their own (rerankers).

    Raises ConfigurationError for embeddings that do not fit (`match`), and for a split whose targets are not
    published."""
    if not task.scorable:
        raise ConfigurationError(
            f"the targets of {task.benchmark}'s split {task.split} are not published: give --submission to write the "
            "file for its server, or score another split with --split."
        )
    matched = match(task, embeddings)
    return evaluate_queries(task, matched, matched.embeddings.queries, similarity, build)


def evaluate_queries(
    task: Task,
    matched: Matched,
    queries: Float32Array,
    similarity: Similarity | None = None,
    build: BuildGallery = Gallery,
) -> Result:
    """The same with other query vectors (n, d) in the place of the file's: how controls are scored."""
    galleries = Galleries(matched, similarity or task.similarity, build)
    measured = [_measure(part, matched, queries, galleries) for part in task.parts]
    metrics: dict[str, Float64Array] = {}
    for values in measured:
        for name, triples in values.items():
            metrics[name] = 100.0 * np.nanmean(triples, axis=0)
    for name, of in task.averages.items():
        metrics[name] = np.mean([metrics[one] for one in of], axis=0)
    return Result(
        task.benchmark,
        task.protocol,
        task.split,
        {name: float(triple[0]) for name, triple in metrics.items()},
        {name: (float(triple[1:].min()), float(triple[1:].max())) for name, triple in metrics.items()},
        _counts(task, matched),
        [
            QueryValues(part.name, part.queries, {name: 100.0 * triples[:, 0] for name, triples in values.items()})
            for part, values in zip(task.parts, measured, strict=True)
        ],
        task.averages,
        task.notes,
    )


def _counts(task: Task, matched: Matched) -> dict[str, int]:
    counts = {"queries": len(task.query_ids()), "gallery": len(task.gallery_ids())}
    if len(task.parts) > 1:
        for part in task.parts:
            counts[f"{part.name}/queries"] = len(part.queries)
            if part.candidates is None:
                counts[f"{part.name}/gallery"] = len(part.gallery)
    return counts | {"ignored_queries": matched.ignored_queries, "ignored_gallery": matched.ignored_gallery}


class Galleries:
    """One gallery for all parts that share it."""

    def __init__(self, matched: Matched, similarity: Similarity, build: BuildGallery = Gallery) -> None:
        self._matched = matched
        self._build = build
        self._similarity: Similarity = similarity
        self._last: tuple[Sequence[str], Gallery] | None = None

    def of(self, part: Part) -> Gallery:
        if self._last is None or self._last[0] is not part.gallery:
            rows = np.array([self._matched.gallery_rows[one] for one in part.gallery], np.int64)
            self._last = (part.gallery, self._build(self._matched.embeddings.gallery, rows, self._similarity))
        return self._last[1]


def _measure(part: Part, matched: Matched, queries: Float32Array, galleries: Galleries) -> dict[str, Float64Array]:
    """For each metric of a part float64 (n, 3), NaN where a query has none."""
    assert part.relevant is not None
    values: dict[str, Float64Array] = {}
    for start, block in score_blocks(part, matched, queries, galleries.of(part)):
        if part.measure_targets is not None:
            found = part.measure_targets(_target_ranks(block, part.relevant[start : start + len(block)]))
            _keep(values, found, len(part.queries), slice(start, start + len(block)))
            continue
        assert part.measure is not None
        for number, scores in enumerate(block, start):
            listed = scores if part.candidates is None else scores[: len(part.candidates[number])]
            found = part.measure(number, places(listed, part.relevant[number]))
            _keep(values, found, len(part.queries), number)
    return values


def _keep(values: dict[str, Float64Array], found: Values, size: int, where: int | slice) -> None:
    for name, triples in found.items():
        if name not in values:
            values[name] = np.full((size, 3), np.nan)
        values[name][where] = triples


def _target_ranks(block: Float32Array, relevant: Sequence[IntArray]) -> IntArray:
    """Ranks (b, 3); a query without relevant item never finds it."""
    held = np.array([len(one) == 1 for one in relevant])
    ranks = np.full((len(block), 3), _NEVER, np.int64)
    if held.any():
        targets = np.concatenate([one for one in relevant if len(one)])
        ranks[held] = target_ranks(block if held.all() else block[held], targets)
    return ranks


def score_blocks(
    part: Part, matched: Matched, queries: Float32Array, gallery: Gallery
) -> Iterator[tuple[int, Float32Array]]:
    """Blocks of a part's queries: the first one's number, and scores (b, m) of the gallery or of their candidates;
    what is taken out of the ranking stands at -inf."""
    rows = np.array([matched.query_rows[one] for one in part.queries], np.int64)
    if part.candidates is not None:
        yield from gallery.scores_of(queries[rows], part.candidates)
        return
    for start, block in gallery.score_blocks(queries[rows]):
        if part.excluded is not None:
            for row, items in enumerate(part.excluded[start : start + len(block)]):
                block[row, items] = -np.inf
        yield start, block


def retrieved(
    part: Part, matched: Matched, k: int, similarity: Similarity = "cosine"
) -> Iterator[tuple[str, list[str]]]:
    """For each query of a part its id and the ids of its first k, in order, without excluded ones."""
    gallery, queries = Galleries(matched, similarity).of(part), matched.embeddings.queries
    if part.candidates is None:
        rows = np.array([matched.query_rows[one] for one in part.queries], np.int64)
        for query, numbers in zip(part.queries, nearest(gallery, queries[rows], k, part.excluded), strict=True):
            yield query, [part.gallery[one] for one in numbers]
        return
    for start, block in score_blocks(part, matched, queries, gallery):
        for number, scores in enumerate(block, start):
            yield part.queries[number], [part.gallery[one] for one in part.candidates[number][first_k(scores, k)]]
