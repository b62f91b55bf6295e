"""The interface of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from synthesis.requests import NothingToAsk, Request, Variables


@dataclass(frozen=True)
class Candidate:
    """A text that an answer holds, not filtered yet. `method` names how it was written."""

    text: str
    method: str
    category: str | None = None
    direction: str = "forward"
    score: float | None = None


class UnparsableError(ValueError):
    """An answer that is not what the task asked for."""


class Task(Protocol):
    """What is asked for a pair, and what is read from the answer."""

    name: str

    def format_input(self, variables: Variables) -> Request | NothingToAsk:
        """The request for a pair, or why there is none."""

    def format_output(self, text: str, variables: Variables) -> Sequence[Candidate]:
        """The texts in an answer about a pair, best first. Raises UnparsableError."""
