"""Progress of a run: a live table on a terminal, plain lines in a log, and a note that `lensmith status` reads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from beam_jobs.workspace import Workspace, stage_of
from lensmith.funnel import stage_counts
from lensmith.settings import STAGES

_NOTE = "_work/progress.json"
_LOG_SECONDS = 15.0


class Watch(AbstractContextManager["Watch"]):
    """Shows how far the job in hand is, by counting its manifests; a thread of its own, which ends with the run."""

    def __init__(self, workspace: Workspace, console: Console | None = None) -> None:
        self._workspace = workspace
        self._console = console or Console(stderr=True)
        self._job, self._shards = "", frozenset[str]()
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="lensmith-progress", daemon=True)
        self._done_before = 0

    def begin(self, job: str, shards: Sequence[str]) -> None:
        """A job begins."""
        with self._lock:
            self._job, self._shards = job, frozenset(shards)
            self._began = time.monotonic()
            self._done_before = self._done()
        note = {"job": job, "shards": list(shards), "began": time.time()}
        self._workspace.folder.replace(_NOTE, json.dumps(note).encode())
        missing = len(shards) - self._done_before
        if not self._console.is_terminal and (missing or not shards):
            self._console.print(f"{job}: {missing} of {len(shards)} shards to do" if shards else job, highlight=False)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._workspace.folder.remove(_NOTE)

    def _done(self) -> int:
        return len(self._shards & self._workspace.committed(self._job)) if self._shards else 0

    def _watch(self) -> None:
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=2, transient=True) as live:
                while not self._stopped.wait(0.7):
                    live.update(self._table())
            return
        while not self._stopped.wait(_LOG_SECONDS):
            with self._lock:
                line = _line(self._job, self._done(), len(self._shards), time.monotonic() - self._began)
            self._console.print(line, highlight=False)

    def _table(self) -> Table:
        with self._lock:
            job, done, shards = self._job, self._done(), len(self._shards)
            seconds = time.monotonic() - self._began
        return stage_table(self._workspace, {"job": job, "done": done, "shards": shards, "seconds": seconds})


def stage_table(workspace: Workspace, current: dict[str, Any] | None) -> Table:
    """A table of the stages: what is done, in hand, to come; with counts of what each made."""
    table = Table("stage", "state", "kept", "dropped", "failed", "deferred", box=None, header_style="bold")
    running = stage_of(current["job"].removeprefix("index ")) if current else None
    for stage in STAGES:
        counts = stage_counts(workspace, stage)
        unit = next(iter(reversed(counts.units.values())), None)
        name = next(iter(reversed(counts.units)), "")
        state = "done" if counts.units else "–"
        if current and stage == running:
            done, shards, seconds = current["done"], current["shards"], current["seconds"]
            state = f"{done} of {shards} shards, {seconds:.0f} s" if shards else f"{seconds:.0f} s"
        if unit is None:
            table.add_row(stage, state, "", "", "", "")
        else:
            dropped, failed = unit.rejected.total(), unit.failed.total()
            table.add_row(stage, state, f"{unit.kept:,} {name}s", f"{dropped:,}", f"{failed:,}", f"{unit.deferred:,}")
    return table


def current_job(workspace: Workspace) -> dict[str, Any] | None:
    """What a run is doing now, as it noted it; None where none is at work or was cut off before its first job."""
    try:
        note = workspace.folder.read_json(_NOTE)
    except FileNotFoundError:
        return None
    done = len(set(note["shards"]) & workspace.committed(note["job"]))
    seconds = time.time() - note["began"]
    return {"job": note["job"], "done": done, "shards": len(note["shards"]), "seconds": seconds}


def _line(job: str, done: int, shards: int, seconds: float) -> str:
    return f"{job}: {done} of {shards} shards done, {seconds:.0f} s" if shards else f"{job}: {seconds:.0f} s"
