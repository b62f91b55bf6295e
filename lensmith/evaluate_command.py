"""The evaluator's command: a benchmark's official numbers from embeddings, or from a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from evaluation.embeddings import CONTROLS, Embeddings, read_embeddings
from evaluation.probes import compare_controls
from evaluation.ranking import Similarity
from evaluation.result import Result, write_result
from evaluation.task import Benchmark, Task
from schemas.errors import ConfigurationError

#: Bounds that differ by no more are not shown.
_SHOWN = 0.005
#: CLIP B/32 reaches 62.24 in Rsubset@1 by the text alone, 32.77 by the sum of both (the SEARLE paper).
_NO_CONTROL = (
    "warning: in the literature the text alone explains Rsubset@K; add query_text_embeddings to the file to see how "
    "much of this one it does."
)


def evaluate_command(
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            help="fashioniq, cirr, circo, genecis, dtin, tuberlin, inquire, inquire-rerank, gpr1200, gldv2, roxford, "
            "rparis, lensmith or mtcir.",
        ),
    ],
    annotations: Annotated[
        Path, typer.Option("--annotations", help="Folder of the benchmark's files as its authors lay them out.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The .json file of the result.", show_default="none, with --submission"),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            "--embeddings", help="An .npz or .parquet file of query and gallery embeddings.", show_default="none"
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="Folder of a model that `lensmith train` wrote, in place of a file.", show_default="none"
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", help="Folder of the benchmark's images, for --model.", show_default="the dataset's own images"
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", help="How it is scored: docs/evaluation.md names the ways.", show_default="its authors' way"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Which split of the benchmark.", show_default="the one that is reported offline"),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="Text of the queries, for --model: a published one by name, or with {fields}.",
            show_default="the plain text",
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            "--submission", help="Folder (or name.json) of files for the server of cirr or circo.", show_default="none"
        ),
    ] = None,
    similarity: Annotated[
        str | None, typer.Option("--similarity", help="cosine or dot.", show_default="the official program's")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", help="Columns of an mtcir table: image=…,target=…,text=…,id=….", show_default="MTCIR's"
        ),
    ] = None,
) -> None:
    """Score embeddings or a model on a benchmark, offline, as its authors' program does."""
    from evaluation.benchmarks import benchmark as benchmark_of
    from evaluation.benchmarks import choice
    from evaluation.benchmarks.mtcir import parse_columns

    found = benchmark_of(benchmark, parse_columns(columns) if columns else None)
    protocol = choice("--protocol", protocol, found.protocols, f"the protocols of {benchmark}")
    split = choice("--split", split, found.splits, f"the splits of {benchmark}")
    compared = _similarity(similarity)
    if output is None and submission is None:
        raise ConfigurationError("give the file of the result with --output, or --submission.")
    if (embeddings is None) == (model is None):
        raise ConfigurationError("give either --embeddings or --model.")
    if embeddings is not None:
        vectors = read_embeddings(embeddings)
        task = found.load(annotations, protocol, split, vectors.gallery_ids)
    else:
        assert model is not None
        task = found.load(annotations, protocol, split, None)
        vectors = _from_model(found, task, annotations, model, images, template)
    console = Console()
    for note in task.notes:
        console.print(f"note: {note}", highlight=False)
    if submission is not None:
        _submit(task, vectors, compared, submission)
        if output is None or not task.scorable:
            return
    assert output is not None
    result, controls = _scored(task, vectors, compared)
    _show(console, result, controls)
    write_result(result, output)
    typer.echo(f"{output}: {benchmark}, {protocol}, {split}")


def _similarity(asked: str | None) -> Similarity | None:
    known: dict[str | None, Similarity | None] = {None: None, "cosine": "cosine", "dot": "dot"}
    if asked in known:
        return known[asked]
    raise ConfigurationError(f"--similarity {asked!r} is none: there are cosine and dot.")


def _from_model(
    benchmark: Benchmark, task: Task, annotations: Path, model: Path, images: Path | None, template: str | None
) -> Embeddings:
    from evaluation.templates import template as template_of
    from lensmith.evaluate_model import dataset_images, embed_task, folder_images

    if images is not None:
        contents = folder_images(images)
    elif benchmark.name == "lensmith":
        contents = dataset_images(annotations, task.split)
    else:
        raise ConfigurationError("--model needs the folder of the benchmark's images: give it with --images.")
    return embed_task(task, model, contents, template_of(benchmark.name, template))


def _submit(task: Task, vectors: Embeddings, similarity: Similarity | None, path: Path) -> None:
    from evaluation.submissions import submissions, write_submissions

    for file in write_submissions(submissions(task, vectors, similarity), task, path):
        typer.echo(f"{file}: for the server of {task.benchmark}, {task.split}")


def _scored(task: Task, vectors: Embeddings, similarity: Similarity | None) -> tuple[Result, Mapping[str, Result]]:
    """The result, and those of the controls that the embeddings bring along."""
    from evaluation.score import evaluate, evaluate_queries, match

    result = evaluate(task, vectors, similarity)
    if not vectors.controls:
        return result, {}
    matched = match(task, vectors)
    controls = {name: evaluate_queries(task, matched, one, similarity) for name, one in vectors.controls.items()}
    return result, controls


def _show(console: Console, result: Result, controls: Mapping[str, Result]) -> None:
    alone = {name: controls[name].metrics if name in controls else None for name in CONTROLS.values()}
    compared = compare_controls(result.metrics, alone["text only"], alone["image only"])
    table = Table("metric", title=f"{result.benchmark}, {result.protocol}, {result.split}, percent")
    for name in ("value", "worst and best over ties", *(name for name, found in alone.items() if found)):
        table.add_column(name, justify="right")
    for row in compared.rows:
        low, high = result.bounds[row.metric]
        ties = f"{low:.2f} … {high:.2f}" if high - low > _SHOWN else ""
        beside = [f"{one:.2f}" for one in (row.text_only, row.image_only) if one is not None]
        table.add_row(row.metric, f"{row.full:.2f}", ties, *beside)
    console.print(table)
    console.print(", ".join(f"{name} {count}" for name, count in result.counts.items()), highlight=False)
    for warning in compared.warnings:
        console.print(f"warning: {warning.text}", highlight=False)
    if result.benchmark == "cirr" and not alone["text only"]:
        console.print(_NO_CONTROL, highlight=False)
