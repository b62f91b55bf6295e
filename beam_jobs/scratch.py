"""A folder on the worker's own disk for one shard, which survives a process that died and has one user at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.errors import ConfigurationError

#: Seconds between two tries to get a folder that another process uses.
_WAIT = 1.0


def scratch_root() -> str:
    """The folder of all scratch folders, ours alone: what lies there is believed. Raises ConfigurationError."""
    root = os.path.join(tempfile.gettempdir(), f"lensmith-{os.getuid()}")
    os.makedirs(root, mode=0o700, exist_ok=True)
    found = os.lstat(root)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigurationError(f"{root} belongs to somebody else: remove it, or set TMPDIR to a folder of your own.")
    return root


@contextmanager
def scratch_folder(name: str, waiting: Callable[[], None]) -> Iterator[str]:
    """The folder of that name, removed when the block ends without an exception.

    While another process of this machine uses it, `waiting` is called about every second."""
    folder = os.path.join(scratch_root(), name)
    lock = _locked(f"{folder}.lock", waiting)
    try:
        os.makedirs(folder, exist_ok=True)
        yield folder
        shutil.rmtree(folder)
        os.unlink(f"{folder}.lock")
    finally:
        os.close(lock)


def _locked(path: str, waiting: Callable[[], None]) -> int:
    """An open file that holds the lock of a path."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed the file in the meantime: then the lock is of no path.
            if os.path.exists(path) and os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except BlockingIOError:
            waiting()
            time.sleep(_WAIT)
        os.close(file)
