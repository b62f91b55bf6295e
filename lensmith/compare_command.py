"""The command that compares two results of one benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from schemas.errors import ConfigurationError

_SUFFIXES = (".json", ".html")


def compare_command(
    first: Annotated[Path, typer.Argument(help="A result of `lensmith evaluate`: its --output.")],
    second: Annotated[Path, typer.Argument(help="Another of the same benchmark, protocol and split.")],
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", help="An .html page or a .json file; may be repeated.", show_default="none"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="The metric whose changed queries are listed.", show_default="the benchmark's"),
    ] = None,
) -> None:
    """Compare two results query by query: what changed, and whether it could be chance."""
    from evaluation.report.page import render_comparison
    from evaluation.report.paired import compare
    from evaluation.report.terminal import show_comparison
    from evaluation.result import read_result

    files = output or []
    odd = [one for one in files if one.suffix not in _SUFFIXES]
    if odd:
        raise ConfigurationError(f"--output {odd[0]} must end in .html or .json.")
    found = compare(read_result(first), read_result(second), metric=metric)
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    show_comparison(Console(), found, names)
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".html":
            path.write_bytes(render_comparison(found, names))
        else:
            path.write_text(json.dumps(found.to_json(), indent=1) + "\n", encoding="utf-8")
        typer.echo(path)
