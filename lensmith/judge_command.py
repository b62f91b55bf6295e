"""The command by which people and models judge a sample of a run's triplets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from beam_jobs.workspace import Workspace
from lensmith.judge_sample import (
    draw_sample,
    files_of,
    has_judgements,
    keep_judgements,
    keep_sample,
    kept_sample,
    write_summary,
)
from lensmith.output_folder import known_output
from lensmith.report import RunTables, report
from lensmith.settings import load_settings
from publishing.judging.judgements import MODEL, VERDICTS, Judgements, check, parse_judgements
from publishing.judging.sample import STRATA, JudgeSample
from publishing.judging.sheet import render_sheet
from schemas.errors import ConfigurationError, RunFailedError

SHEET = "judge.html"


def judge_command(
    output_dir: Annotated[str, typer.Argument(help="Output folder of a run.")],
    sample: Annotated[int, typer.Option("--sample", min=1, help="Texts that are judged, at most.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Seed of --sample.")] = 0,
    by: Annotated[
        str, typer.Option("--by", help=f"Take equal parts by {', '.join(STRATA)}; none takes them all alike.")
    ] = "method",
    output: Annotated[
        Path | None, typer.Option("--output", help="The .html sheet to write.", show_default=f"OUT/{SHEET}")
    ] = None,
    imports: Annotated[
        list[Path] | None,
        typer.Option("--import", help="File that a sheet saved; may be repeated.", show_default="none"),
    ] = None,
    by_model: Annotated[
        bool, typer.Option("--by-model", help="Let the model of the settings judge the sample.", show_default="no")
    ] = False,
    no_images: Annotated[
        bool,
        typer.Option("--no-images", help="Tell the model texts and captions, show no images.", show_default="no"),
    ] = False,
    preset: Annotated[str, typer.Option("--preset", help="Settings that name the model of --by-model.")] = "local",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file that overrides them.", show_default="none")
    ] = None,
) -> None:
    """Judge a sample of a run's triplets: a sheet to fill in, its import, or a model's judgement."""
    if by_model and imports:
        raise ConfigurationError("--import and --by-model are two things: give one of them.")
    if no_images and not by_model:
        raise ConfigurationError("--no-images belongs to --by-model.")
    if output is not None and output.suffix != ".html":
        raise ConfigurationError(f"--output {output} must end in .html.")
    workspace = known_output(output_dir)
    if imports:
        _import(workspace, imports)
        return
    drawn = draw_sample(workspace, sample, by, seed)
    if by_model:
        _ask_model(workspace, drawn, preset, config, images=not no_images)
        return
    _write_sheet(workspace, drawn, output)


def _write_sheet(workspace: Workspace, drawn: JudgeSample, output: Path | None) -> None:
    run = RunTables(workspace).json("run.json") or {}
    about = run.get("settings", {}).get("publish_dataset", {}).get("title") or "a sample of triplets"
    page = render_sheet(drawn, lambda names: files_of(workspace, names), str(about)).encode()
    keep_sample(workspace, drawn)
    if output is None:
        workspace.folder.replace(SHEET, page)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(page)
    parts = ", ".join(f"{name or 'all'} {count}" for name, count in drawn.of.items())
    typer.echo(f"{len(drawn.items)} texts to judge, of {parts}; open it in a browser, then import what it saves:")
    typer.echo(output or f"{workspace.path.rstrip('/')}/{SHEET}")


def _import(workspace: Workspace, paths: Sequence[Path]) -> None:
    """Check all files before any is kept."""
    found: dict[str, tuple[Path, Judgements]] = {}
    samples: dict[str, JudgeSample] = {}
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror or error}.") from error
        judged = parse_judgements(data, str(path))
        if judged.judge.startswith(MODEL):
            raise ConfigurationError(f"{path} is by {judged.judge!r}, a name of models: save it under another name.")
        if judged.judge in found:
            other = found[judged.judge][0]
            raise ConfigurationError(f"{path} and {other} are both by {judged.judge!r}: give one of them.")
        drawn = kept_sample(workspace, judged.sample_id, str(path))
        check(judged, drawn, str(path))
        samples[judged.sample_id] = drawn
        if len(samples) > 1:
            raise ConfigurationError(f"{path} is of another sample than {paths[0]}: import them one after the other.")
        found[judged.judge] = (path, judged)
    for _, judged in found.values():
        again = has_judgements(workspace, judged)
        keep_judgements(workspace, judged)
        said = "; they replace the earlier ones" if again else ""
        typer.echo(f"{judged.judge}: {len(judged.answers)} judgements{said}")
    (drawn,) = samples.values()
    _sum_up(workspace, drawn)


def _ask_model(workspace: Workspace, drawn: JudgeSample, preset: str, config: Path | None, *, images: bool) -> None:
    from lensmith.model_judge import judge_by_model
    from synthesis.writers import load_writer

    settings = load_settings(preset, config).write_instructions.of("judge")
    keep_sample(workspace, drawn)
    judged = judge_by_model(workspace, drawn, settings, lambda: load_writer(settings), images=images)
    missing = ", ".join(f"{reason} {count}" for reason, count in sorted(judged.missing.items()))
    if not judged.judgements.answers:
        raise RunFailedError(f"{judged.judgements.judge} judged nothing ({missing}): see --config and --no-images.")
    keep_judgements(workspace, judged.judgements)
    without = f"; none for {missing}" if missing else ""
    typer.echo(f"{judged.judgements.judge}: {len(judged.judgements.answers)} judgements{without}")
    _sum_up(workspace, drawn)


def _sum_up(workspace: Workspace, drawn: JudgeSample) -> None:
    found = write_summary(workspace, drawn)
    show_summary(Console(), found)
    typer.echo(f"{workspace.path.rstrip('/')}/judgements.json")
    if workspace.folder.exists("report.html"):
        typer.echo(f"{report(workspace)}: written again with them")


def show_summary(console: Console, found: Mapping[str, Any]) -> None:
    """Shares by judge and stratum, and the agreement of judges, on a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in ("judge", "of", "good", "95% interval", "judged", *VERDICTS):
        table.add_column(name, justify="left" if name in ("judge", "of") else "right", no_wrap=name != "judge")
    for one in found["judges"]:
        for place, row in enumerate(one["shares"]):
            interval = f"{100 * row['low']:.1f}–{100 * row['high']:.1f}"
            counts = [str(row[name]) for name in ("judged", *VERDICTS)]
            judge = "" if place else escape(one["judge"])
            table.add_row(judge, escape(row["name"] or "all"), f"{100 * row['share']:.1f}%", interval, *counts)
    console.print(table)
    for pair in found["agreement"]:
        first, second = pair["judges"]
        kappa = "no κ" if pair["kappa"] is None else f"Cohen's κ {pair['kappa']:.2f}"
        said = f"{first} and {second}: agree on {pair['agreed']} of {pair['items']}, {kappa}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
