"""What is said while a model trains: a line every few steps, on a terminal a bar, and what loggers get."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from transformers import TrainerCallback

from training.scoring import METRICS

#: Names in logs and history.
PART, SPEED, WAIT = "loss_", "samples_per_second", "data_wait"


class Meter:
    """Speed between two looks at it; what is done aside (scoring, checkpoints) does not count."""

    def __init__(self) -> None:
        #: Seconds that steps have waited for data, in all.
        self.waited = 0.0
        self._start()

    def _start(self) -> None:
        self._began, self._before, self._aside, self._samples = time.perf_counter(), self.waited, 0.0, 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within, a step waits for its data."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within, nothing is trained."""
        began = time.perf_counter()
        yield
        self._aside += time.perf_counter() - began

    def count(self, samples: int) -> None:
        """So many triplets were trained on."""
        self._samples += samples

    def read(self) -> dict[str, float]:
        """Triplets a second, and the share of the time in which steps waited for data, since the last look."""
        seconds = max(time.perf_counter() - self._began - self._aside, 1e-9)
        found = {SPEED: self._samples / seconds, WAIT: min(1.0, (self.waited - self._before) / seconds)}
        self._start()
        return found


class Told(TrainerCallback):
    """Tells lines, or draws a bar on a terminal."""

    def __init__(self, stage: str, metric: str, say: Callable[[str], None], console: Console | None) -> None:
        self._stage, self._metric, self._say = stage, metric, say
        self._console = console if console is not None and console.is_terminal else None
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._began, self._first, self._aside = 0.0, 0, 0.0
        self._best: tuple[float, int] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Start the clock; a resumed stage says where it goes on."""
        self._began, self._first = time.monotonic(), state.global_step
        if state.global_step:
            self._say(f"{self._stage}: goes on after step {state.global_step} of {state.max_steps}")
        if state.best_metric is not None and state.best_global_step is not None:
            self._best = state.best_metric, state.best_global_step
        if self._console is not None:
            words = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[said]}", markup=False)
            self._bar = Progress(words[0], BarColumn(20), words[1], console=self._console, transient=True)
            self._task = self._bar.add_task(self._stage, total=state.max_steps, completed=state.global_step, said="")
            self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Say a line of what was just logged."""
        if logs is None or "loss" not in logs:
            return
        said = line(logs, state.global_step, state.max_steps, self._left(state))
        if self._bar is not None:
            self._bar.update(self._task, said=said)
        else:
            self._say(f"{self._stage}: {said}")

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, float] | None = None, **more: Any
    ) -> None:
        """Say the scores, and which step is the best."""
        scored = {name.removeprefix("eval_"): value for name, value in (metrics or {}).items()}
        value = scored[self._metric]
        if self._best is None or value > self._best[0]:
            self._best = value, state.global_step
        names = dict.fromkeys([self._metric, *METRICS])
        shown = ", ".join(f"{name} {scored[name]:.2f}" for name in names if name in scored)
        best, step = self._best
        against = "the best so far" if step == state.global_step else f"the best is {best:.2f} of step {step}"
        self._say(f"{self._stage}: step {state.global_step} scores {shown}; {against}")

    def stop(self) -> None:
        """Take the bar away, however the training ends."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _left(self, state: Any) -> float:
        done = state.global_step - self._first
        return (time.monotonic() - self._began) / max(1, done) * (state.max_steps - state.global_step)


def line(logs: Mapping[str, Any], step: int, steps: int, left: float) -> str:
    """`step 20 of 300, loss 2.310, rate 0.0003, 410 samples/s, waits 2% for data, 1:05 left`; the parts of the loss
    where there are several. `left` in seconds."""
    parts = [f"{name.removeprefix(PART)} {value:.3f}" for name, value in logs.items() if name.startswith(PART)]
    loss = f"loss {logs['loss']:.3f}" + (f" ({', '.join(parts)})" if parts else "")
    speed = f"{logs[SPEED]:.3g} samples/s, waits {100 * logs[WAIT]:.0f}% for data"
    return f"step {step} of {steps}, {loss}, rate {logs['learning_rate']:.2g}, {speed}, {clock(left)} left"


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any: `1:05`, `2:00:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
