"""How one address ends, and the two ways in which an exchange is broken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verdict:
    """The end of one address: an outcome with its snake_case reason, or `kept` with what the image's row needs."""

    outcome: Literal["kept", "rejected", "failed", "deferred"]
    reason: str | None = None
    detail: str | None = None
    mime: str | None = None
    opt_out: str | None = None


class StoppedError(Exception):
    """An address ends here. `retryable` says that another attempt may go better, `retry_after` (seconds) when the
    host wants it; `throttled` that the host asked for a pause; `unreachable` that the host gave no answer at all."""

    def __init__(
        self,
        verdict: Verdict,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        throttled: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(f"{verdict.outcome}: {verdict.reason}")
        self.verdict = verdict
        self.retryable = retryable
        self.retry_after = retry_after
        self.throttled = throttled
        self.unreachable = unreachable


class PostponedError(Exception):
    """The host has no room for this address now; nothing was asked, a later pass takes it up."""


def rejected(reason: str, detail: str | None = None) -> StoppedError:
    """The address's own fault."""
    return StoppedError(Verdict("rejected", reason, detail))


def failed(reason: str, detail: str | None = None, *, unreachable: bool = False) -> StoppedError:
    """A passing fault, worth another attempt."""
    return StoppedError(Verdict("failed", reason, detail), retryable=True, unreachable=unreachable)
