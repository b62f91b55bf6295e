"""The command that compares trainings on parts of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lensmith.train_command import read_settings
from schemas.errors import ConfigurationError, MissingPackageError, RunFailedError


def study_command(
    dataset: Annotated[str, typer.Option("--dataset", help="A dataset: OUT/dataset of a run, or an address of one.")],
    output: Annotated[Path, typer.Option("--output", help="Folder of the study.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file of the training that all runs share.")
    ] = None,
    fractions: Annotated[
        str | None,
        typer.Option("--fractions", help="Shares of the pages, such as 1/4,1.", show_default="1/8,1/4,1/2,1"),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="A run for each value of a column (mining, verdict, instructions.method), or window of its numbers "
            "(visual_similarity).",
            show_default="none",
        ),
    ] = None,
    leave_out: Annotated[
        bool,
        typer.Option(
            "--leave-out", help="With --by mining: also runs of what is left without each miner.", show_default="no"
        ),
    ] = False,
    windows: Annotated[int, typer.Option("--windows", help="Windows of a column of numbers, by quantiles.")] = 4,
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs", help="YAML file of runs of your own: {runs: {NAME: {data: {...}}}}.", show_default="none"
        ),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset",
            help="A run NAME=PLACE of a part: a dataset that `lensmith select` made of this one, or a file of triplet "
            "ids; and a random part of its size. May be repeated.",
            show_default="none",
        ),
    ] = None,
    randoms: Annotated[int, typer.Option("--randoms", help="Random parts for each size of --subset.")] = 1,
    equal: Annotated[
        bool, typer.Option("--equal", help="Cut all runs to the triplets of the smallest.", show_default="no")
    ] = False,
    controls: Annotated[
        bool,
        typer.Option("--controls", help="Add runs untrained, text only and image only.", show_default="no"),
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings of each run.")] = 3,
    split: Annotated[str, typer.Option("--split", help="The split that models are scored on.")] = "validation",
    metric: Annotated[str, typer.Option("--metric", help="The metric that is drawn.")] = "R@10",
    least: Annotated[int, typer.Option("--least", help="Runs of fewer triplets are not trained.")] = 8,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep every model beside its scores.", show_default="no")
    ] = False,
) -> None:
    """Train on parts of a dataset with several seeds, score all on one split and draw the metric. The same command
    goes on where it was stopped."""
    try:
        from lensmith.training_models import surroundings
        from training.study.options import StudyOptions
        from training.study.page import show
        from training.study.study import CURVE, PAGE, study
    except ImportError as error:
        raise MissingPackageError(str(error.name), "train", "a study") from error
    options = StudyOptions(
        fractions=_shares(fractions),
        by=by,
        leave_out=leave_out,
        windows=windows,
        named=_named(runs) if runs else None,
        subsets=_subsets(subset or ()),
        randoms=randoms,
        equal=equal,
        controls=controls,
        seeds=seeds,
        split=split,
        metric=metric,
        least=least,
        keep_models=keep_models,
    )
    result = study(dataset, output, read_settings(config), options, surroundings(typer.echo))
    show(Console(), result)
    typer.echo(f"{output / PAGE}\n{output / CURVE}")
    failed = [one.name for one in result.runs if one.status == "failed"]
    if failed:
        raise RunFailedError(
            f"{len(failed)} of {len(result.runs)} runs failed, first {failed[0]!r}: the table says why, and the same "
            "command tries them again."
        )


def _shares(text: str | None) -> tuple[float, ...]:
    """`1/8,0.5,1` as numbers. Raises ConfigurationError."""
    if text is None:
        return ()
    try:
        return tuple(float(Fraction(one.strip())) for one in text.split(","))
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigurationError(f"--fractions {text!r} are no shares: write them as 1/8,1/4,1.") from error


def _subsets(given: Sequence[str]) -> dict[str, str]:
    """`NAME=PLACE` of each subset. Raises ConfigurationError."""
    found: dict[str, str] = {}
    for one in given:
        name, _, place = one.partition("=")
        if not name or not place:
            raise ConfigurationError(f"--subset {one!r} names no part: write it as NAME=PLACE.")
        if name in found:
            raise ConfigurationError(f"two parts of --subset are called {name!r}: give one of them another name.")
        found[name] = place
    return found


def _named(path: Path) -> Mapping[str, Any]:
    settings = read_settings(path)
    runs = settings.pop("runs", None)
    if settings or not isinstance(runs, Mapping):
        raise ConfigurationError(f"{path} must hold runs by name: {{runs: {{NAME: {{data: {{where: …}}}}}}}}.")
    return {str(name): changes for name, changes in runs.items()}
