"""The commands that do work: the whole job, or one stage of it."""

from __future__ import annotations

import json
import platform
import shlex
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from beam_jobs.session import Session
from beam_jobs.workspace import Workspace
from lensmith.cleaning import clean
from lensmith.costs import keep_prices
from lensmith.funnel import check_budget, write_funnel
from lensmith.guide import check_guide, guide_model, rounds_said, with_rounds
from lensmith.output_folder import (
    OutputFolder,
    exclusive,
    is_output,
    open_output,
    plan_inputs,
    stored_plan,
    workspace_at,
)
from lensmith.progress import Watch
from lensmith.requirements import check_fingerprints, check_needs, check_views
from lensmith.settings import STAGES, Settings
from lensmith.stages import Results, run_stage
from lensmith.version import VERSION
from mining.archives.inputs import list_inputs
from schemas.errors import ConfigurationError, StoppedError
from schemas.settings import deciding_fields
from synthesis.costs import load_prices


@dataclass(frozen=True)
class RunOptions:
    """What the command line says beside the settings."""

    output: str
    inputs: tuple[str, ...] = ()
    base: str | None = None
    sample: int | None = None
    seed: int = 0
    since: str = STAGES[0]
    until: str = STAGES[-1]
    force: tuple[str, ...] = ()
    extend: bool = False
    guided_by: str | None = None
    retry: str | None = None
    beam: tuple[str, ...] = ()
    preset: str = "local"
    command: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))


def stage_name(name: str, option: str) -> str:
    """A stage as it is written in tables, from either spelling. Raises ConfigurationError."""
    stage = name.replace("-", "_")
    if stage not in STAGES:
        raise ConfigurationError(f"{option} names no stage {name!r}: the stages are {', '.join(STAGES)}.")
    return stage


def run(options: RunOptions, settings: Settings, console: Console) -> Results:
    """Run the stages up to `options.until`, or one of them; what is done is not done again.

    `funnel.json` and `run.json` are written however it ends, once there is an output folder of ours. Raises
    ConfigurationError for wrong usage, before any work is done, RunFailedError, and StoppedError on Ctrl-C.
    """
    from lensmith.engine import BeamEngine

    working, forced = _stages(options)
    engine = BeamEngine(options.beam)
    if engine.is_local:
        # Elsewhere it is the workers that need them.
        check_needs(settings, working)
    check_views(settings, working)
    check_fingerprints(settings, working)
    prices = load_prices(settings.write_instructions.prices)
    archives = list_inputs(options.inputs, base=options.base, sample=options.sample, seed=options.seed)
    workspace = workspace_at(options.output)
    guide = None
    if options.guided_by is not None:
        guide = guide_model(options.guided_by)
        check_guide(workspace, options.extend)
    if not archives and not is_output(workspace):
        if options.since == STAGES[0]:
            raise ConfigurationError("no input: name crawl archives with --input, as paths, globs or addresses.")
        raise ConfigurationError(f"{options.output} has no pages yet: run extract-pages with --input first.")
    output = open_output(workspace, settings.run.shard_bytes, settings.run.host_buckets)
    settings = with_rounds(_as_fixed(settings, output, console), workspace, guide is not None)
    with exclusive(workspace):
        keep_prices(workspace, prices)
        plan = plan_inputs(workspace, output, archives, options.extend) if archives else stored_plan(workspace)
        session = Session(workspace, engine, forced, options.retry is not None, working)
        session.progress.say = lambda text: console.print(text, highlight=False, soft_wrap=True)
        try:
            return _run(options, settings, session, Results(plan, output.buckets, guide), console)
        except KeyboardInterrupt:
            raise StoppedError("stopped; the same command goes on from here.") from None


def _stages(options: RunOptions) -> tuple[frozenset[str], frozenset[str]]:
    """The stages that may work, and those to do again. Raises ConfigurationError."""
    if options.retry not in (None, "failed"):
        raise ConfigurationError(f"--retry takes 'failed', not {options.retry!r}.")
    working = STAGES[STAGES.index(options.since) : STAGES.index(options.until) + 1]
    if not working:
        raise ConfigurationError(
            f"--until {options.until} lies before {options.since}: name the same or a later stage."
        )
    forced = [stage_name(one, "--force") for one in options.force]
    for one in forced:
        if one not in working:
            raise ConfigurationError(
                f"--force {one} is none of the stages that this command does: they are {', '.join(working)}."
            )
    return frozenset(working), frozenset(forced)


def _as_fixed(settings: Settings, output: OutputFolder, console: Console) -> Settings:
    """The settings with what the output folder has fixed; says so where they differ."""
    fixed = {"shard_bytes": output.shard_bytes, "host_buckets": output.buckets}
    for name, value in fixed.items():
        if getattr(settings.run, name) != value:
            console.print(f"run.{name} stays {value}, as this output folder has it", highlight=False, soft_wrap=True)
    return settings.model_copy(update={"run": settings.run.model_copy(update=fixed)})


def _run(options: RunOptions, settings: Settings, session: Session, results: Results, console: Console) -> Results:
    workspace = session.workspace
    record = _Record(options, settings, workspace, session)
    session.force()
    try:
        with Watch(workspace, console) as watch:
            session.progress.begin = watch.begin
            for stage in STAGES[: STAGES.index(options.until) + 1]:
                began = time.monotonic()
                watch.stage(stage)
                run_stage(stage, session, settings, results, options.preset)
                record.seconds[stage] = time.monotonic() - began
                if stage in session.working:
                    watch.end(stage)
                    check_budget(workspace, stage, settings.run.max_failed)
        clean(workspace, session.used_answers, complete=options.until == STAGES[-1])
    except BaseException as error:
        with suppress(OSError):
            # What ended the run is what the user must hear of, not that a full disk takes no more.
            write_funnel(workspace)
            record.write()
            if not isinstance(error, KeyboardInterrupt):
                session.end_forcing()
        raise
    write_funnel(workspace)
    record.write()
    session.end_forcing()
    return results


@dataclass
class _Record:
    """`run.json`: everything about a run that must not be in the dataset."""

    options: RunOptions
    settings: Settings
    workspace: Workspace
    session: Session
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.time)

    def write(self) -> None:
        """Write `run.json`."""
        data: dict[str, Any] = {
            "lensmith": VERSION,
            "command": shlex.join(["lensmith", *self.options.command[1:]]),
            "preset": self.options.preset,
            "runner": self.session.engine.runner,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)),
            "seconds": round(time.time() - self.began, 1),
            "stages": {stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
            "shards_worked": self.session.worked,
            "guided_by": rounds_said(self.workspace),
            "host": socket.gethostname(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "settings": self.settings.model_dump(mode="json"),
            "deciding_settings": deciding_fields(self.settings),
        }
        self.workspace.folder.replace("run.json", json.dumps(data, indent=1, ensure_ascii=False).encode())


def split_beam_options(arguments: Sequence[str]) -> tuple[str, ...]:
    """The arguments after `--` as Beam takes them. Raises ConfigurationError for one that is no option."""
    for one in arguments:
        if not one.startswith("-"):
            raise ConfigurationError(f"{one!r} is no option: Beam options after `--` are written --name=value.")
    return tuple(arguments)
