"""Folders that several processes want at once and one of them makes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from schemas.errors import ConfigurationError


@contextmanager
def made_once(folder: Path) -> Iterator[Path | None]:
    """A folder to be filled within the context, which then becomes `folder` at once; None where that is there already.

    Other processes wait meanwhile. A making that was stopped begins again. Raises ConfigurationError where the disk
    does not take it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            yield None
            return
        with FileLock(f"{folder}.lock"):
            if folder.exists():
                yield None
                return
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            yield part
            os.replace(part, folder)
    except OSError as error:
        raise ConfigurationError(
            f"cannot keep what training makes in {folder.parent}: {error.strerror or error}."
        ) from error
