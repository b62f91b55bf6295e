"""The result of a study as one HTML page and as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from markupsafe import Markup
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.scoring import METRICS
from training.study.result import RunResult, StudyResult


def shown_metrics(result: StudyResult) -> list[str]:
    """The chosen metric, then the usual ones."""
    return list(dict.fromkeys([result.metric, *METRICS]))


def cells(run: RunResult, metrics: Sequence[str]) -> list[str]:
    """Mean and standard deviation over seeds for each metric."""
    found = []
    for name in metrics:
        spread = run.deviation(name)
        found.append(f"{run.mean(name):.2f}" + ("" if spread is None else f" ± {spread:.2f}"))
    return found


def render(result: StudyResult, drawn: str) -> str:
    """The page; `drawn` is the picture, as SVG."""
    folders = [("training.study", "templates"), ("evaluation.report", "templates")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(*one) for one in folders]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": "{:,}".format, "percent": "{:.2f}".format}
    return environment.get_template("study.html.jinja2").render(
        title=f"{result.dataset}: {result.title}",
        result=result,
        largest=max(result.scored, key=lambda run: run.triplets),
        metrics=shown_metrics(result),
        cells=cells,
        picture=Markup(drawn),
        seeds=max(len(one.seeds) for one in result.runs),
    )


def show(console: Console, result: StudyResult) -> None:
    """The table."""
    metrics = shown_metrics(result)
    title = Text(f"{result.title}, on {result.split}, percent: mean over seeds ± deviation")
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("run", overflow="fold", min_width=10)
    for name in ("triplets", "pages", *metrics):
        table.add_column(name, justify="right", no_wrap=True)
    for run in result.runs:
        sizes = (f"{run.triplets:,}", f"{run.pages:,}") if run.triplets else ("", "")
        if run.scored:
            told = [*cells(run, metrics[:1]), *(f"{run.mean(name):.2f}" for name in metrics[1:])]
        else:
            told = [run.status, *[""] * (len(metrics) - 1)]
        table.add_row(Text(run.name), *sizes, *told)
    console.print(table)
    for run in result.runs:
        if run.why:
            console.print(Text(f"{run.name}: {run.why}"))
