"""The command line."""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from lensmith.compare_command import compare_command
from lensmith.dataset_commands import export_command, push_command, take_down_command
from lensmith.demo_command import demo_command
from lensmith.evaluate_command import evaluate_command
from lensmith.failures import error_of_os, error_of_store, store_errors
from lensmith.output_folder import workspace_at
from lensmith.report import report
from lensmith.run import RunOptions, run, split_beam_options, stage_name
from lensmith.settings import STAGES, Settings, load_settings
from lensmith.train_commands import embed_command, train_command
from lensmith.watch_commands import config_command, doctor_command, report_command, status_command
from schemas.errors import LensmithError

app = typer.Typer(
    name="lensmith",
    help="From crawl archives to a composed image retrieval dataset, a retriever and its scores.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_BEAM = {"allow_extra_args": True, "ignore_unknown_options": False}

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="Archives: a path, glob, folder, address or path list; may be repeated.",
        show_default="those the output folder has",
    ),
]
Output = Annotated[str, typer.Option("--output", help="Output folder: a path or an address such as s3://bucket/run.")]
Preset = Annotated[str, typer.Option("--preset", help="Settings to begin with: local, hub or server.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings that override the preset.", show_default="none")
]
Until = Annotated[
    str | None, typer.Option("--until", help="Last stage to run.", show_default="publish-dataset, or the stage named")
]
Force = Annotated[
    list[str] | None, typer.Option("--force", help="Stage to do again; may be repeated.", show_default="none")
]
Extend = Annotated[
    bool, typer.Option("--extend", help="Add inputs that this output folder has not read yet.", show_default="no")
]
Retry = Annotated[
    str | None, typer.Option("--retry", help="'failed' tries failed and deferred units again.", show_default="none")
]
Base = Annotated[
    str | None, typer.Option("--base", help="Address before each line of a path list.", show_default="none")
]
Sample = Annotated[
    int | None, typer.Option("--sample", min=1, help="Take so many archives of the inputs.", show_default="all")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of --sample.")]
OptOut = Annotated[
    str | None, typer.Option("--opt-out", help="'drop' or 'keep' what opts out.", show_default="drop, or the settings'")
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host", help="Host on a private network that may be asked; may be repeated.", show_default="none"
    ),
]
NoFetch = Annotated[
    bool,
    typer.Option("--no-fetch", help="Fetch nothing: addresses no archive holds are deferred.", show_default="no"),
]
MaxFailed = Annotated[
    float | None,
    typer.Option("--max-failed", help="Share of a unit that may fail.", show_default="0.05, while fetching 0.5"),
]


def _settings_of(
    opt_out: str | None, allow_host: list[str] | None, no_fetch: bool, max_failed: float | None
) -> dict[str, Any]:
    """Settings that options set, nested as in a file."""
    settings: dict[str, Any] = {"fetch_images": {}, "run": {}}
    if opt_out is not None:
        settings["opt_out"] = opt_out
    if allow_host:
        settings["fetch_images"]["allow_hosts"] = allow_host
    if no_fetch:
        settings["fetch_images"]["host_budget"] = 0
    if max_failed is not None:
        settings["run"]["max_failed"] = max_failed
    return {key: value for key, value in settings.items() if value}


@app.command("run", context_settings=_BEAM)
def run_command(
    context: typer.Context,
    output: Output,
    input: Inputs = None,
    preset: Preset = "local",
    config: Config = None,
    until: Until = None,
    force: Force = None,
    extend: Extend = False,
    retry: Retry = None,
    base: Base = None,
    sample: Sample = None,
    seed: Seed = 0,
    opt_out: OptOut = None,
    allow_host: AllowHost = None,
    no_fetch: NoFetch = False,
    max_failed: MaxFailed = None,
) -> None:
    """The whole job, from archives to the dataset and its report. Beam options follow after `--`."""
    _work(
        context,
        RunOptions(
            output=output,
            inputs=tuple(input or ()),
            base=base,
            sample=sample,
            seed=seed,
            until=stage_name(until or STAGES[-1], "--until"),
            force=tuple(force or ()),
            extend=extend,
            retry=retry,
            preset=preset,
        ),
        load_settings(preset, config, _settings_of(opt_out, allow_host, no_fetch, max_failed)),
    )


#: Options of `run` that say which archives are read: of the stages only the first has them.
_INPUT_OPTIONS = ("input", "base", "sample", "seed")


def _add_stage_command(stage: str, summary: str) -> None:
    """A command with the options of `run` that does one stage; with --until, the stages from it to that one."""

    def command(context: typer.Context, **given: Any) -> None:
        settings = _settings_of(*(given[name] for name in ("opt_out", "allow_host", "no_fetch", "max_failed")))
        options = RunOptions(
            output=given["output"],
            inputs=tuple(given.get("input") or ()),
            base=given.get("base"),
            sample=given.get("sample"),
            seed=given.get("seed", 0),
            since=stage,
            until=stage_name(given["until"] or stage, "--until"),
            force=tuple(given["force"] or ()),
            extend=given["extend"],
            retry=given["retry"],
            preset=given["preset"],
        )
        _work(context, options, load_settings(given["preset"], given["config"], settings))

    signature = inspect.signature(run_command, eval_str=True)
    dropped = () if stage == STAGES[0] else _INPUT_OPTIONS
    parameters = [one for name, one in signature.parameters.items() if name not in dropped]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__doc__ = f"{summary} Beam options follow after `--`."
    app.command(stage.replace("_", "-"), context_settings=_BEAM)(command)


_SUMMARIES = {
    "extract_pages": "Archives to pages, the places of images on them, and archived images.",
    "fetch_images": "Fetch the images that no archive holds.",
    "annotate_images": "Hashes, features, labels, safety and captions of every image, once.",
    "mine_pairs": "Pairs of images that stand on one page.",
    "write_instructions": "Ask a language model for the text that leads from one image of a pair to the other.",
    "verify_triplets": "Rank each target among the images of its page; drop what the text does not lead to.",
    "publish_dataset": "Write dataset/ with its card, Croissant description and splits.",
}
for _stage in STAGES:
    _add_stage_command(_stage, _SUMMARIES[_stage])


app.command("demo")(demo_command)
app.command("status")(status_command)
app.command("report")(report_command)
app.command("doctor")(doctor_command)
app.command("config")(config_command)
app.command("export")(export_command)
app.command("take-down")(take_down_command)
app.command("push")(push_command)
app.command("train")(train_command)
app.command("embed")(embed_command)
app.command("evaluate")(evaluate_command)
app.command("compare")(compare_command)


def _work(context: typer.Context, options: RunOptions, settings: Settings) -> None:
    console = Console(stderr=True)
    results = run(replace(options, beam=split_beam_options(context.args)), settings, console)
    if results.dataset is not None:
        path = report(workspace_at(options.output))
        if not results.dataset.triplets:
            console.print("warning: there are no triplets; the report says where everything went", highlight=False)
        typer.echo(f"{options.output}/dataset: {results.dataset.triplets} triplets, {results.dataset.images} images")
        typer.echo(path)


def main() -> None:
    """Run the command line: exit status 0 done, 1 failed, 2 wrong usage or configuration."""
    try:
        app(standalone_mode=True)
    except LensmithError as error:
        _end(error)
    except OSError as error:
        _end(error_of_os(error))
    except store_errors() as error:
        _end(error_of_store(error))


def _end(error: LensmithError) -> NoReturn:
    print(f"lensmith: {error}", file=sys.stderr)  # noqa: T201 - the message of a command
    sys.exit(error.exit_code)
