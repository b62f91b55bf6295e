"""The exceptions that end a command, each with one sentence that says the mend."""

from __future__ import annotations


class LensmithError(Exception):
    """Base of the errors whose message is written for the user; the command line prints it without a traceback."""

    exit_code = 1


class ConfigurationError(LensmithError):
    """Wrong usage or configuration (exit status 2): a missing file, an unknown key, a foreign output folder."""

    exit_code = 2


class MissingPackageError(ConfigurationError):
    """An optional package is not installed; the message holds the line that installs it: its extra's, or `mend`."""

    def __init__(self, package: str, extra: str, why: str, mend: str | None = None) -> None:
        self._arguments = (package, extra, why, mend)
        line = mend or f"uv pip install 'lensmith[{extra}]'"
        super().__init__(f"{why} needs the package '{package}': install it with `{line}`.")

    def __reduce__(self) -> tuple[type[MissingPackageError], tuple[str, str, str, str | None]]:
        # An exception travels from a child process to its parent by its arguments.
        return type(self), self._arguments


class RunFailedError(LensmithError):
    """The run failed or passed its error budget (exit status 1)."""


class StoppedError(LensmithError):
    """The user stopped the run (exit status 130, as shells have it for Ctrl-C)."""

    exit_code = 130
