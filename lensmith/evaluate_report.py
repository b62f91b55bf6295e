"""What `lensmith evaluate` tells of a result: the tables on the terminal, further keys of the JSON, the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from evaluation.embeddings import CONTROLS, Embeddings
from evaluation.probes import Controls, compare_controls
from evaluation.ranking import Similarity
from evaluation.report.code_loss import CodeRow, code_rows
from evaluation.report.headline import headline
from evaluation.report.intervals import DRAWS, LEVEL, SEED, Interval, intervals
from evaluation.report.pictures import ReadImages
from evaluation.report.published import published_beside
from evaluation.report.terminal import show_codes, show_result
from evaluation.result import Result
from evaluation.score import BuildGallery, Matched, evaluate_queries, match
from evaluation.task import ImageFile, Task
from lensmith.evaluate_options import ON_DATASETS, CodesAsked
from schemas.errors import ConfigurationError

#: CLIP B/32 reaches 62.24 in Rsubset@1 by the text alone, 32.77 by the sum of both (the SEARLE paper).
_NO_CONTROL = (
    "warning: in the literature the text alone explains Rsubset@K; add query_text_embeddings to the file to see how "
    "much of this one it does."
)


@dataclass(frozen=True)
class Scoring:
    """How a result came about: the task, the embeddings, and how they were ranked."""

    task: Task
    embeddings: Embeddings
    similarity: Similarity | None
    build: BuildGallery


@dataclass(frozen=True)
class ReportAsked:
    """The page, the folder of images (for those of `ON_DATASETS` the dataset), the codes, the main metric."""

    html: Path | None
    images: Path | None
    annotations: Path
    codes: CodesAsked
    metric: str | None
    about: Mapping[str, str]


def tell(console: Console, scoring: Scoring, result: Result, asked: ReportAsked) -> dict[str, Any]:
    """Show the result and write the page, if one is asked for; returns the further keys of the JSON."""
    metric = headline(result, asked.metric)
    matched = match(scoring.task, scoring.embeddings)
    controls = _controls(scoring, matched, result)
    errors = intervals(result)
    published = published_beside(result.benchmark, result.protocol, result.split)
    show_result(console, result, controls, errors, published)
    if result.benchmark == "cirr" and "text only" not in scoring.embeddings.controls:
        console.print(_NO_CONTROL, highlight=False)
    codes: tuple[CodeRow, ...] = ()
    if asked.codes.bits:
        codes = code_rows(scoring.task, matched, metric, asked.codes.bits, method=asked.codes.method)
        show_codes(console, metric, codes)
    if asked.html is not None:
        from evaluation.report.cases import best_and_worst
        from evaluation.report.page import Report, render_report
        from evaluation.report.pictures import pictures

        best, worst = best_and_worst(
            scoring.task, matched, result, metric, similarity=scoring.similarity, build=scoring.build
        )
        shown = pictures((*best, *worst), _reader(asked, result))
        page = render_report(
            Report(result, metric, asked.about, errors, controls, published, best, worst, shown, metric, codes)
        )
        asked.html.parent.mkdir(parents=True, exist_ok=True)
        asked.html.write_bytes(page)
    return _more(result, errors, controls, metric, codes, asked)


def _controls(scoring: Scoring, matched: Matched, result: Result) -> Controls:
    found = {
        name: evaluate_queries(scoring.task, matched, queries, scoring.similarity, scoring.build).metrics
        for name, queries in scoring.embeddings.controls.items()
    }
    text, image = (found.get(name) for name in CONTROLS.values())
    return compare_controls(result.metrics, text, image)


def _reader(asked: ReportAsked, result: Result) -> ReadImages:
    """Reads the images of a page: from the folder, from the dataset itself, or none."""
    from lensmith.evaluate_model import cut_out, dataset_images, image_key

    def from_folder(files: Sequence[ImageFile]) -> Iterator[tuple[ImageFile, bytes]]:
        assert asked.images is not None
        for file in files:
            path = next((asked.images / one for one in file.paths if (asked.images / one).is_file()), None)
            if path is None:
                continue
            data = path.read_bytes()
            try:
                yield file, cut_out(data, file.box) if file.box else data
            except ConfigurationError:
                # What cannot be decoded is not shown; the page says so in its place.
                continue

    def from_dataset(files: Sequence[ImageFile]) -> Iterator[tuple[ImageFile, bytes]]:
        by_key = {image_key(file): file for file in files}
        return ((by_key[key], data) for key, data in dataset_images(asked.annotations, result.split)(files))

    if asked.images is not None:
        if not asked.images.is_dir():
            raise ConfigurationError(f"{asked.images} is no folder: give that of the benchmark's images with --images.")
        return from_folder
    return from_dataset if result.benchmark in ON_DATASETS else lambda files: ()


def _more(
    result: Result,
    errors: Mapping[str, Interval],
    controls: Controls,
    metric: str,
    codes: Sequence[CodeRow],
    asked: ReportAsked,
) -> dict[str, Any]:
    """Keys beside those of the contract."""
    more: dict[str, Any] = {"split": result.split}
    if asked.about:
        more["about"] = dict(asked.about)
    if errors:
        more["intervals"] = {
            "level": LEVEL,
            "draws": DRAWS,
            "seed": SEED,
            "metrics": {name: [one.low, one.high] for name, one in errors.items()},
        }
    for name, values in (
        ("text_only", {row.metric: row.text_only for row in controls.rows if row.text_only is not None}),
        ("image_only", {row.metric: row.image_only for row in controls.rows if row.image_only is not None}),
    ):
        if values:
            more.setdefault("controls", {})[name] = values
    if controls.warnings:
        more["warnings"] = [one.text for one in controls.warnings]
    if codes:
        more["codes"] = {"metric": metric, "method": asked.codes.method, "rows": [asdict(row) for row in codes]}
    return more
