"""Progress of a run: a live table on a terminal, plain lines in a log, and a note that `lensmith status` reads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from beam_jobs.workspace import Workspace
from lensmith.funnel import ENTERING, jobs_of, stage_counts
from lensmith.output_folder import at_work
from lensmith.settings import STAGES
from schemas.outcomes import UNITS, Counts

_NOTE = "_work/progress.json"
_LOG_SECONDS = 15.0
#: Seconds without a sign after which a run on an object store is taken for dead.
_SILENCE = 120.0


@dataclass(frozen=True)
class Current:
    """The job in hand: its stage, its name, how many of its shards are done, since when; an index step has none."""

    stage: str
    job: str
    done: int
    shards: int
    seconds: float
    alive: bool = True

    def __str__(self) -> str:
        counted = f", {self.done} of {self.shards} shards" if self.shards else ""
        return f"{self.job}{counted}, {self.seconds:.0f} s"


class Watch(AbstractContextManager["Watch"]):
    """Shows how far the job in hand is, by counting its manifests; a thread of its own, which ends with the run."""

    def __init__(self, workspace: Workspace, console: Console) -> None:
        self._workspace, self._console = workspace, console
        self._job, self._stage, self._shards = "", "", frozenset[str]()
        self._began = time.monotonic()
        self._rows: Mapping[str, Counts] = {}
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="lensmith-progress", daemon=True)

    def stage(self, name: str) -> None:
        """A stage begins: index steps that follow are shown under it."""
        with self._lock:
            self._stage = name

    def begin(self, job: str, shards: Sequence[str]) -> None:
        """A job begins."""
        rows = stage_rows(self._workspace) if self._console.is_terminal else {}
        with self._lock:
            self._job, self._shards, self._rows = job, frozenset(shards), rows
            self._began = time.monotonic()
        self._note()
        if self._console.is_terminal:
            return
        missing = len(shards) - self._current().done
        if missing or not shards:
            self._print(f"{job}: {missing} of {len(shards)} shards to do" if shards else job)

    def end(self, stage: str) -> None:
        """A stage has ended: a line of what became of its units."""
        self._print(f"{stage}: {summary(stage_counts(self._workspace, stage))}")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._workspace.folder.remove(_NOTE)

    def _current(self) -> Current:
        with self._lock:
            stage, job, shards, began = self._stage, self._job, self._shards, self._began
        done = len(shards & self._workspace.committed(job)) if shards else 0
        return Current(stage, job, done, len(shards), time.monotonic() - began)

    def _note(self) -> None:
        with self._lock:
            began = time.time() - (time.monotonic() - self._began)
            note: dict[str, Any] = {"stage": self._stage, "job": self._job, "shards": sorted(self._shards)}
            note |= {"began": began, "sign": time.time()}
        self._workspace.folder.replace(_NOTE, json.dumps(note).encode())

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _watch(self) -> None:
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=2, transient=True) as live:
                self._every(0.7, lambda: live.update(self._table()))
        else:
            self._every(_LOG_SECONDS, lambda: self._print(str(self._current())))

    def _every(self, seconds: float, act: Callable[[], None]) -> None:
        signed = time.monotonic()
        while not self._stopped.wait(seconds):
            if not self._job:
                continue
            try:
                act()
                if not self._workspace.folder.is_local and time.monotonic() - signed > _LOG_SECONDS:
                    self._note()
                    signed = time.monotonic()
            except OSError:
                # A look that failed is no reason to stop the work, nor to stop looking.
                continue

    def _table(self) -> Table:
        current = self._current()
        with self._lock:
            return stage_table(self._rows, current)


def plural(unit: str) -> str:
    """A unit of the funnel in the plural: `candidate_pair` → "candidate pairs"."""
    return unit.replace("_", " ") + ("es" if unit.endswith("s") else "s")


def summary(counts: Counts) -> str:
    """What became of a stage's units: `120 of 124 records kept, 3 dropped, 1 failed; 40 of 40 places kept`."""
    parts = []
    for unit in UNITS:
        entry = counts.units.get(unit)
        if entry is None:
            continue
        words = [f"{entry.kept:,} of {entry.entered:,} {plural(unit)} kept"]
        dropped, failed = entry.rejected.total(), entry.failed.total()
        words += [f"{count:,} {name}" for name, count in (("failed", failed), ("deferred", entry.deferred)) if count]
        if dropped and (failed or entry.deferred):
            words.insert(1, f"{dropped:,} dropped")
        parts.append(", ".join(words))
    return "; ".join(parts) or "nothing to do"


def stage_rows(workspace: Workspace) -> dict[str, Counts]:
    """The counts of every stage that has come to a result, be it that nothing entered."""
    found = {}
    for stage in STAGES:
        if jobs_of(workspace, stage):
            found[stage] = stage_counts(workspace, stage)
            found[stage].entry(ENTERING[stage])
    return found


def stage_table(rows: Mapping[str, Counts], current: Current | None) -> Table:
    """A table of the stages: what is done, in hand, to come; with counts of the unit that enters each."""
    table = Table(box=None, header_style="bold")
    for name in ("stage", "state", "kept", "dropped", "failed", "deferred"):
        table.add_column(name, no_wrap=True)
    for stage in STAGES:
        counts = rows.get(stage, Counts())
        name = ENTERING[stage]
        unit = counts.units.get(name)
        state = "done" if counts.units else "–"
        if current and current.alive and stage == current.stage:
            state = str(current).removeprefix(f"{stage}, ").removeprefix(f"{stage}.")
        if unit is None:
            table.add_row(stage, state, "", "", "", "")
        else:
            dropped, failed = unit.rejected.total(), unit.failed.total()
            kept = f"{unit.kept:,} {plural(name)}"
            table.add_row(stage, state, kept, f"{dropped:,}", f"{failed:,}", f"{unit.deferred:,}")
    return table


def current_job(workspace: Workspace) -> Current | None:
    """What a run is doing now, as it noted it, or was doing when it was cut off; None where none has begun a job."""
    try:
        note = workspace.folder.read_json(_NOTE)
    except FileNotFoundError:
        return None
    done = len(set(note["shards"]) & workspace.committed(note["job"]))
    working = at_work(workspace)
    alive = time.time() - note["sign"] < _SILENCE if working is None else working
    return Current(note["stage"], note["job"], done, len(note["shards"]), time.time() - note["began"], alive)
