"""The commands that do work: the whole job, or one stage of it."""

from __future__ import annotations

import json
import platform
import shlex
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from beam_jobs.session import Session
from beam_jobs.workspace import Workspace
from lensmith.cleaning import clean
from lensmith.engine import BeamEngine
from lensmith.funnel import check_budget, write_funnel
from lensmith.output_folder import InputPlan, exclusive, open_output, plan_inputs, stored_plan
from lensmith.progress import Watch
from lensmith.settings import STAGES, Settings
from lensmith.stages import Results, run_stage
from lensmith.version import VERSION
from mining.archives.inputs import list_inputs
from schemas.errors import ConfigurationError
from schemas.settings import deciding_fields


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

    `funnel.json` and `run.json` are written however it ends, once there is an output folder of ours.
    """
    if options.retry not in (None, "failed"):
        raise ConfigurationError(f"--retry takes 'failed', not {options.retry!r}.")
    engine = BeamEngine(options.beam)
    workspace = Workspace(options.output)
    archives = list_inputs(options.inputs, base=options.base, sample=options.sample, seed=options.seed)
    working = STAGES[STAGES.index(options.since) : STAGES.index(options.until) + 1]
    if not working:
        raise ConfigurationError(
            f"--until {options.until} lies before {options.since}: name the same or a later stage."
        )
    if not archives and options.since == STAGES[0]:
        raise ConfigurationError("no input: name crawl archives with --input, as paths, globs or addresses.")
    output = open_output(workspace, settings.run.shard_bytes, settings.run.host_buckets)
    with exclusive(workspace):
        plan = plan_inputs(workspace, output, archives, options.extend) if archives else stored_plan(workspace)
        session = Session(
            workspace,
            engine,
            forced=frozenset(stage_name(one, "--force") for one in options.force),
            retry_failed=options.retry is not None,
            working=frozenset(working),
        )
        session.progress.say = lambda text: console.print(text, highlight=False)
        return _run(options, settings, session, plan, output.buckets, console)


def _run(
    options: RunOptions, settings: Settings, session: Session, plan: InputPlan, buckets: int, console: Console
) -> Results:
    workspace = session.workspace
    record = _Record(options, settings, workspace, session)
    results = Results(plan, buckets)
    session.force()
    try:
        with Watch(workspace, console) as watch:
            session.progress.begin = watch.begin
            for stage in STAGES[: STAGES.index(options.until) + 1]:
                began = time.monotonic()
                run_stage(stage, session, settings, results, options.preset)
                record.seconds[stage] = time.monotonic() - began
                if stage in session.working:
                    check_budget(workspace, stage, settings.run.max_failed)
    finally:
        write_funnel(workspace)
        record.write()
    clean(workspace, session.used_answers, complete=options.until == STAGES[-1])
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
            "runner": self.session.engine.runner if isinstance(self.session.engine, BeamEngine) else "",
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)),
            "seconds": round(time.time() - self.began, 1),
            "stages": {stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
            "shards_worked": self.session.worked,
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
