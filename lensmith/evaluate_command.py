"""The evaluator's command: a benchmark's official numbers from embeddings, or from a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evaluation.composed_queries import Weights
from evaluation.embeddings import Embeddings, read_embeddings
from evaluation.ranking import Similarity
from evaluation.result import write_result
from evaluation.task import Benchmark, Task
from lensmith.evaluate_options import (
    ON_DATASETS,
    Alpha,
    AlphaImage,
    Beta,
    CodeMethod,
    Codes,
    Composer,
    Html,
    Metric,
    Rerank,
    RerankTop,
    TurnByTurn,
    codes_asked,
    composed,
    folded_template,
    gallery_builder,
)
from schemas.errors import ConfigurationError


def evaluate_command(
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            help="fashioniq, cirr, circo, genecis, dtin, tuberlin, inquire, inquire-rerank, gpr1200, gldv2, roxford, "
            "rparis, lensmith, lensmith-chains or mtcir.",
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
            "--images",
            help="Folder of the benchmark's images, for --model and --html.",
            show_default="the dataset's own images",
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
    composer: Composer = None,
    alpha: Alpha = None,
    alpha_image: AlphaImage = None,
    beta: Beta = None,
    turn_by_turn: TurnByTurn = False,
    rerank: Rerank = None,
    rerank_top: RerankTop = 400,
    codes: Codes = None,
    code_method: CodeMethod = "itq",
    metric: Metric = None,
    html: Html = None,
) -> None:
    """Score embeddings or a model on a benchmark, offline, as its authors' program does."""
    from evaluation.benchmarks import benchmark as benchmark_of
    from evaluation.benchmarks import choice
    from evaluation.benchmarks.mtcir import parse_columns
    from evaluation.score import evaluate
    from lensmith.evaluate_report import ReportAsked, Scoring, tell

    found = benchmark_of(benchmark, parse_columns(columns) if columns else None)
    protocol = choice("--protocol", protocol, found.protocols, f"the protocols of {benchmark}")
    split = choice("--split", split, found.splits, f"the splits of {benchmark}")
    compared = _similarity(similarity)
    if turn_by_turn:
        template = folded_template(benchmark, composer, template)
    build, wanted_codes = gallery_builder(rerank, rerank_top), codes_asked(codes, code_method)
    if output is None and submission is None:
        raise ConfigurationError("give the file of the result with --output, or --submission.")
    if (embeddings is None) == (model is None):
        raise ConfigurationError("give either --embeddings or --model.")
    if embeddings is not None:
        vectors = read_embeddings(embeddings, composed=composer is not None)
        task = found.load(annotations, protocol, split, vectors.gallery_ids)
    else:
        assert model is not None
        task = found.load(annotations, protocol, split, None)
        vectors = _from_model(found, task, annotations, model, images, template)
    weights = Weights(alpha, alpha_image, beta)
    vectors, compared, composer_words = composed(vectors, composer, weights, benchmark, compared, turn_by_turn)
    console = Console()
    for note in task.notes:
        console.print(f"note: {note}", highlight=False)
    if submission is not None:
        _submit(task, vectors, compared, submission)
        if output is None or not task.scorable:
            return
    assert output is not None
    result = evaluate(task, vectors, compared, build)
    about = {
        "Scored": (embeddings or model or output).name,
        "Composer": composer_words,
        "Reranked": f"{rerank}, the best {rerank_top}" if rerank else None,
    }
    asked = ReportAsked(
        html, images, annotations, wanted_codes, metric, {name: told for name, told in about.items() if told}
    )
    more = tell(console, Scoring(task, vectors, compared, build), result, asked)
    write_result(result, output, more)
    if html is not None:
        typer.echo(html)
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
    elif benchmark.name in ON_DATASETS:
        contents = dataset_images(annotations, task.split)
    else:
        raise ConfigurationError("--model needs the folder of the benchmark's images: give it with --images.")
    return embed_task(task, model, contents, template_of(benchmark.name, template))


def _submit(task: Task, vectors: Embeddings, similarity: Similarity | None, path: Path) -> None:
    from evaluation.submissions import submissions, write_submissions

    for file in write_submissions(submissions(task, vectors, similarity), task, path):
        typer.echo(f"{file}: for the server of {task.benchmark}, {task.split}")
