"""What benchmarks with one target and the query image taken out share: Lensmith's own datasets and MTCIR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.benchmarks.files import Numbers, once
from evaluation.metrics import average_precision, found_within
from evaluation.task import ImageFile, IntArray, Part, QueryInput, Values
from schemas.errors import ConfigurationError

_RECALLS = (1, 5, 10, 50)


@dataclass(frozen=True)
class Row:
    """One query: its id, its image, its text, and the image that it should find."""

    query_id: str
    query_image: str
    target_image: str
    text: str


def target_part(
    source: Path,
    rows: Sequence[Row],
    gallery: Sequence[str],
    where: str,
    image: Callable[[str], ImageFile],
) -> Part:
    """R@1, R@5, R@10, R@50, mAP@10 and mAP of the target among `gallery` without the query's image."""
    if not rows:
        raise ConfigurationError(f"{source} has no queries in this split.")
    numbers = Numbers(gallery, where)
    return Part(
        "all",
        once(source, [row.query_id for row in rows]),
        gallery,
        [numbers.of([row.target_image], source) for row in rows],
        measure_targets=_measure,
        excluded=[numbers.of([row.query_image], source) for row in rows],
        query_input=lambda number: QueryInput(image(rows[number].query_image), {"caption": rows[number].text}),
        gallery_image=image,
    )


def _measure(ranks: IntArray) -> Values:
    found = {f"R@{k}": found_within(ranks, k) for k in _RECALLS}
    one = ranks[..., None]
    return found | {"mAP@10": average_precision(one, 1, 10), "mAP": average_precision(one, 1)}
