"""Tasks: one file each, what is asked for a pair and what is read from the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from synthesis.config import WriteConfig
from synthesis.tasks.interface import Candidate, Task
from synthesis.tasks.magiclens import MagicLens
from synthesis.tasks.span_copy import SpanCopy

#: Name in the configuration → how the task is made from it. A new task is a file and a line here.
TASKS: Mapping[str, Callable[[WriteConfig], Task]] = {SpanCopy.name: SpanCopy, MagicLens.name: MagicLens}


def make_task(config: WriteConfig) -> Task:
    """The task that the configuration names."""
    return TASKS[config.task](config)


__all__ = ["TASKS", "Candidate", "Task", "make_task"]
