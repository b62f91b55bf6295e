"""The command line."""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from typing import Any, NoReturn

import typer
from rich.console import Console

from lensmith.batch_commands import batch_read_command, batch_write_command
from lensmith.batch_requests import waiting_count
from lensmith.compare_command import compare_command
from lensmith.dataset_commands import export_command, push_command, take_down_command
from lensmith.demo_command import demo_command
from lensmith.embed_command import embed_command
from lensmith.evaluate_command import evaluate_command
from lensmith.export_model_command import export_model_command
from lensmith.failures import error_of_os, error_of_store, store_errors
from lensmith.fingerprint_command import fingerprint_command
from lensmith.judge_command import judge_command
from lensmith.options import (
    SETTINGS,
    AllowHost,
    Base,
    Config,
    Extend,
    Force,
    Generations,
    GuidedBy,
    Inputs,
    MaxCost,
    MaxFailed,
    MaxRequests,
    NoFetch,
    OptOut,
    Output,
    Preset,
    Retry,
    Sample,
    Seed,
    Until,
    dropped_options,
    settings_of,
)
from lensmith.output_folder import workspace_at
from lensmith.plan_command import plan_command
from lensmith.refine_command import refine_command
from lensmith.report import report
from lensmith.run import RunOptions, run, split_beam_options, stage_name
from lensmith.select_command import select_command
from lensmith.settings import STAGES, Settings, load_settings
from lensmith.study_command import study_command
from lensmith.train_command import train_command
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
    guided_by: GuidedBy = None,
    retry: Retry = None,
    base: Base = None,
    sample: Sample = None,
    seed: Seed = 0,
    opt_out: OptOut = None,
    allow_host: AllowHost = None,
    no_fetch: NoFetch = False,
    max_failed: MaxFailed = None,
    generations: Generations = None,
    max_requests: MaxRequests = None,
    max_cost: MaxCost = None,
) -> None:
    """The whole job, from archives to the dataset and its report. Beam options follow after `--`."""
    given = settings_of(
        opt_out=opt_out,
        allow_host=allow_host,
        no_fetch=no_fetch,
        max_failed=max_failed,
        generations=generations,
        max_requests=max_requests,
        max_cost=max_cost,
    )
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
            guided_by=str(guided_by) if guided_by else None,
            retry=retry,
            preset=preset,
        ),
        load_settings(preset, config, given),
    )


def _add_stage_command(stage: str, summary: str) -> None:
    """A command with the options of `run` that does one stage; with --until, the stages from it to that one."""

    def command(context: typer.Context, **given: Any) -> None:
        settings = settings_of(**{name: given[name] for name in SETTINGS if name in given})
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
            guided_by=str(given["guided_by"]) if given.get("guided_by") else None,
            retry=given["retry"],
            preset=given["preset"],
        )
        _work(context, options, load_settings(given["preset"], given["config"], settings))

    signature = inspect.signature(run_command, eval_str=True)
    dropped = dropped_options(stage, STAGES[0])
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


app.command("plan")(plan_command)
app.command("judge")(judge_command)
app.command("refine")(refine_command)
app.command("batch-write")(batch_write_command)
app.command("batch-read")(batch_read_command)
app.command("demo")(demo_command)
app.command("status")(status_command)
app.command("report")(report_command)
app.command("doctor")(doctor_command)
app.command("config")(config_command)
app.command("export")(export_command)
app.command("select")(select_command)
app.command("take-down")(take_down_command)
app.command("fingerprint")(fingerprint_command)
app.command("push")(push_command)
app.command("train")(train_command)
app.command("study")(study_command)
app.command("embed")(embed_command)
app.command("export-model")(export_model_command)
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
    waiting = waiting_count(workspace_at(options.output))
    if waiting:
        typer.echo(f"{waiting} requests wait for a batch: lensmith batch-write {options.output} --output NEW_FOLDER")


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
