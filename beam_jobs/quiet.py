"""Beam's workers print the traceback of whatever ends a bundle, beside the exception that carries it: told once is
enough, and where the exception was written for the user, its sentence is."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

_BEGIN, _PLACE = "Traceback (most recent call last)", "apache_beam/runners/worker/sdk_worker.py"
#: Loggers that repeat what comes back as an exception.
_ECHOES = ("runners.common", "runners.worker.sdk_worker", "runners.portability.local_job_service")


class QuietStream:
    """A text stream without the tracebacks that a worker of Beam prints into it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._dropped = threading.local()

    def write(self, text: str) -> int:
        """Write, unless it is such a traceback or the line end after it."""
        line_end = text == "\n" and getattr(self._dropped, "just", False)
        self._dropped.just = text.startswith(_BEGIN) and _PLACE in text
        return len(text) if self._dropped.just or line_end else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """While a local pipeline runs, what its workers raise is neither printed nor logged by them."""
    loggers = [logging.getLogger(f"apache_beam.{name}") for name in _ECHOES]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    stream = QuietStream(sys.stderr)
    try:
        with contextlib.redirect_stderr(stream):
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
