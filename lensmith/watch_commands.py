"""Commands that look: status, report, doctor, config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from beam_jobs.workspace import Workspace
from lensmith.doctor import check
from lensmith.output_folder import known_output
from lensmith.progress import Current, current_job, stage_rows, stage_table
from lensmith.report import report
from lensmith.settings import load_settings
from schemas.errors import RunFailedError

OutputDir = Annotated[str, typer.Argument(help="Output folder of a run.")]


def status_command(output_dir: OutputDir) -> None:
    """How far a run is: from another shell, while it works or after it was cut off."""
    workspace = known_output(output_dir)
    current = current_job(workspace)
    console = Console()
    console.print(stage_table(stage_rows(workspace), current))
    console.print(f"\n{_now(workspace, current)}", highlight=False, soft_wrap=True)


def _now(workspace: Workspace, current: Current | None) -> str:
    """What is going on, in a sentence."""
    goes_on = "the same `lensmith run` goes on from here"
    if current is None:
        return "done" if workspace.folder.exists("dataset/README.md") else f"no run is at work; {goes_on}"
    if not current.alive:
        return f"the last run was cut off in {current}; {goes_on}"
    return f"at work: {current}"


def report_command(output_dir: OutputDir) -> None:
    """Write report.html again from the tables of a run."""
    workspace = known_output(output_dir)
    typer.echo(report(workspace))


def doctor_command(
    preset: Annotated[str, typer.Option("--preset", help="Preset whose needs are looked at.")] = "local",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file that overrides it.", show_default="none")
    ] = None,
) -> None:
    """Say what is missing on this machine, and the line that mends it."""
    findings = check(load_settings(preset, config))
    for one in findings:
        typer.echo(f"{'ok     ' if one.ok else 'MISSING'}  {one.name}{'' if one.ok else f': {one.mend}'}")
    if not all(one.ok for one in findings):
        raise RunFailedError("something is missing: see the lines above.")


def config_command(
    preset: Annotated[str, typer.Option("--preset", help="Settings to begin with.")] = "local",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file that overrides them.", show_default="none")
    ] = None,
) -> None:
    """Print all settings with their values, as a file for --config."""
    settings = load_settings(preset, config)
    typer.echo(yaml.safe_dump(json.loads(settings.model_dump_json()), sort_keys=False, allow_unicode=True), nl=False)
