"""The demo: the whole job on the shipped example, a short training, and its scores beside controls."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beam_jobs.workspace import Workspace
from lensmith.report import report, write_scores
from lensmith.run import RunOptions, run
from lensmith.settings import load_settings
from lensmith.train_command import train_on
from schemas.errors import ConfigurationError

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
_ABOUT = (
    "A fusion model of 8.5 million parameters, trained for a minute on the training split and asked for the targets "
    "of the test split among all images of it, in percent. So small a dataset shows that the way is open, no more."
)


def demo_command(
    output: Annotated[str, typer.Option("--output", help="Output folder.")] = "demo-output",
    example: Annotated[
        Path | None, typer.Option("--example", help="Folder of archives in place of the shipped example.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps.")] = 200,
) -> None:
    """Run everything on the shipped example: dataset, report, a small model and its scores, in a few minutes."""
    console = Console(stderr=True)
    began = time.monotonic()
    archives = example or _EXAMPLES / "wand"
    if not archives.exists():
        raise ConfigurationError(
            f"the example is not at {archives}: run the demo from a clone of the repository, or name archives with "
            "--example."
        )
    config = _EXAMPLES / "demo.yaml"
    settings = load_settings("local", config if config.exists() else None, {"fetch_images": {"host_budget": 0}})
    run(RunOptions(output=output, inputs=(str(archives),)), settings, console)
    dataset, model = Path(output) / "dataset", Path(output) / "model"
    if not (model / "model.json").exists():
        # Fifteen pages would make batches of fifteen.
        train_on(
            dataset,
            model,
            {"data": {"pages": "any"}, "run": {"steps": steps}},
            lambda text: console.print(text, highlight=False),
        )
    _score(Workspace(output), dataset, model, console)
    path = report(Workspace(output))
    minutes = (time.monotonic() - began) / 60
    typer.echo(f"dataset: {dataset}\nreport:  {path}\nmodel:   {model}\n{minutes:.1f} minutes")


def _score(workspace: Workspace, dataset: Path, folder: Path, console: Console) -> None:
    from lensmith.training_models import surroundings
    from training.model_sources import scored_split
    from training.models.make import from_pretrained
    from training.scoring import METRICS, compare

    if not any((dataset / "ids").glob("test-*.parquet")):
        console.print("the test split is empty: there is nothing to score", highlight=False)
        return
    model = from_pretrained(folder)
    with TemporaryDirectory() as work:
        split = scored_split(dataset, "test", model, Path(work), surroundings(lambda _: None))
        scored = compare(model, split)
    table = Table("model", *METRICS, title=f"{len(split.rows)} test queries, {len(split.gallery)} images")
    for name, metrics in scored.items():
        table.add_row(name, *(f"{metrics[metric]:.1f}" for metric in METRICS))
    Console().print(table)
    write_scores(workspace, _ABOUT, METRICS, scored)
