"""Commands called in the tests' own process."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from lensmith.cli import app
from schemas.errors import LensmithError


def lensmith(*arguments: Any) -> tuple[int, str]:
    """Exit status and what was said, the error's sentence last."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(done.exception, LensmithError):
        return done.exception.exit_code, f"{done.output} {done.exception}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output
