"""Options of the commands that do work, and the settings that they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

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
GuidedBy = Annotated[
    Path | None,
    typer.Option(
        "--guided-by",
        help="Folder of a model that was trained on this output folder's dataset: what it answers wrongly is mined "
        "too; with --extend.",
        show_default="none",
    ),
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
Generations = Annotated[
    list[str] | None,
    typer.Option(
        "--generations",
        help="Store of answers beside the output folder's; may be repeated: the first is written to.",
        show_default="none, or the settings'",
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        min=0,
        help="Requests to models that the output folder may send in all.",
        show_default="no limit, or the settings'",
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        min=0,
        help="What its answers may cost, by the price file of the settings.",
        show_default="no limit, or the settings'",
    ),
]


def settings_of(
    *,
    opt_out: str | None = None,
    allow_host: list[str] | None = None,
    no_fetch: bool = False,
    max_failed: float | None = None,
    generations: list[str] | None = None,
    max_requests: int | None = None,
    max_cost: float | None = None,
) -> dict[str, Any]:
    """Settings that options set, nested as in a file."""
    settings: dict[str, Any] = {"fetch_images": {}, "run": {}, "write_instructions": {}}
    if opt_out is not None:
        settings["opt_out"] = opt_out
    if allow_host:
        settings["fetch_images"]["allow_hosts"] = allow_host
    if no_fetch:
        settings["fetch_images"]["host_budget"] = 0
    if max_failed is not None:
        settings["run"]["max_failed"] = max_failed
    if generations:
        # Workers may stand elsewhere.
        settings["write_instructions"]["generations"] = [
            path if "://" in path else os.path.abspath(path) for path in generations
        ]
    if max_requests is not None:
        settings["write_instructions"]["max_requests"] = max_requests
    if max_cost is not None:
        settings["write_instructions"]["max_cost"] = max_cost
    return {key: value for key, value in settings.items() if value}


#: The options that are settings, by their names in `settings_of`.
SETTINGS = ("opt_out", "allow_host", "no_fetch", "max_failed", "generations", "max_requests", "max_cost")
#: Options of `run` that say which archives are read: of the stages only the first has them.
INPUT_OPTIONS = ("input", "base", "sample", "seed")
#: Options of `run` that say what models are asked: of the stages only those that ask have them.
ASKING_OPTIONS = ("generations", "max_requests", "max_cost")
#: Options of `run` that only the stage has that mines.
MINING_OPTIONS = ("guided_by",)
#: Stages that ask models, in their order.
ASKING_STAGES = ("write_instructions", "verify_triplets")


def dropped_options(stage: str, first: str) -> tuple[str, ...]:
    """The options of `run` that the command of a stage has not."""
    inputs, asking = () if stage == first else INPUT_OPTIONS, () if stage in ASKING_STAGES else ASKING_OPTIONS
    return inputs + asking + (() if stage == "mine_pairs" else MINING_OPTIONS)
