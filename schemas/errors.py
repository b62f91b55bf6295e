"""The exceptions that end a command, each with one sentence that says the mend."""

from __future__ import annotations


class LensmithError(Exception):
    """Base of the errors whose message is written for the user; the command line prints it without a traceback."""

    exit_code = 1


class ConfigurationError(LensmithError):
    """Wrong usage or configuration (exit status 2): a missing file, an unknown key, a foreign output folder."""

    exit_code = 2


class MissingPackageError(ConfigurationError):
    """An optional package is not installed; the message holds the line that installs it."""

    def __init__(self, package: str, extra: str, why: str) -> None:
        self._arguments = (package, extra, why)
        super().__init__(f"{why} needs the package '{package}': install it with `uv pip install 'lensmith[{extra}]'`.")

    def __reduce__(self) -> tuple[type[MissingPackageError], tuple[str, str, str]]:
        # An exception travels from a child process to its parent by its arguments.
        return type(self), self._arguments


class RunFailedError(LensmithError):
    """The run failed or passed its error budget (exit status 1)."""
