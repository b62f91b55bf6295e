"""What an exception that is not ours means to the user: one sentence that says the mend."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys

from schemas.errors import ConfigurationError, LensmithError, RunFailedError

_log = logging.getLogger(__name__)
_GOES_ON = "and run the same command again, it goes on from there"
_MENDS = {
    errno.ENOSPC: f"the disk is full: free some space {_GOES_ON}",
    errno.EDQUOT: f"the disk quota is used up: free some space {_GOES_ON}",
    errno.EFBIG: f"a file grew larger than this system allows (ulimit -f): raise the limit {_GOES_ON}",
    errno.EROFS: "the disk is read-only: choose another --output, or mount it writable",
    errno.EACCES: "permission denied: choose a place that you may read and write",
    errno.EPERM: "permission denied: choose a place that you may read and write",
    errno.ENOMEM: f"the memory is full: use fewer workers (-- --direct_num_workers=1) {_GOES_ON}",
    errno.EMFILE: f"too many open files: raise the limit (ulimit -n 4096) {_GOES_ON}",
    errno.ENOENT: "there is no such file or folder: check the path",
    errno.ENOTDIR: "a part of this path is a file and no folder: choose another one",
    errno.ENAMETOOLONG: "this name is too long: choose a shorter one",
}
#: Of these the place decides, before any work: wrong usage. The others end a run.
_USAGE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_STORES = (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError"), ("gcsfs.retry", "HttpError"))
_NUMBER = re.compile(r"\[Errno (\d+)\]")
_LINE = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception|Exit)): (.*)$")


def error_of_os(error: OSError) -> LensmithError:
    """The error to show for one of the operating system or of a store: its exit status follows from its cause."""
    number = error.errno
    place = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
    if number in _MENDS:
        kind = ConfigurationError if number in _USAGE else RunFailedError
        return kind(f"{_MENDS[number]}{place}.")
    text = " ".join(str(error).split()) or type(error).__name__
    return RunFailedError(f"{text}: mend that {_GOES_ON}.")


def store_errors() -> tuple[type[Exception], ...]:
    """What the clients of object stores raise beside OSError, of those that are loaded."""
    return tuple(getattr(sys.modules[module], name) for module, name in _STORES if module in sys.modules)


def error_of_store(error: Exception) -> ConfigurationError:
    """The error to show where a store does not answer, or not to us."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ConfigurationError(f"the store cannot be used: {text}: check its address, the keys and AWS_ENDPOINT_URL.")


def error_of_pipeline(label: str, error: BaseException) -> LensmithError:
    """The error to show for what ended a pipeline: Beam wraps what a worker raised into the text of its traceback."""
    text = str(error)
    for line in reversed(text.splitlines()):
        found = _LINE.match(line.strip())
        if found is None:
            continue
        name, message = found[1], found[2].partition(" [while running")[0].strip()
        if name in ("ConfigurationError", "MissingPackageError"):
            return ConfigurationError(message)
        if name in ("LensmithError", "RunFailedError", "ChildLostError"):
            return RunFailedError(message)
        if number := _NUMBER.search(message):
            cause = OSError(int(number[1]), os.strerror(int(number[1])))
            return _in_job(label, error_of_os(cause))
        # None of ours, so a fault: whoever mends it wants to see where.
        _log.error("%s", text)
        return RunFailedError(f"the job {label} failed: {message.rstrip('.')} ({name}).")
    if isinstance(error, OSError) and error.errno is not None:
        return _in_job(label, error_of_os(error))
    first = text.splitlines()[0] if text else type(error).__name__
    return RunFailedError(f"the job {label} failed: {first.rstrip('.')}.")


def _in_job(label: str, error: LensmithError) -> LensmithError:
    """A disk that fails in the midst of work fails the run, whatever its cause."""
    return RunFailedError(f"{str(error).rstrip('.')} (in {label}).")
