"""Checkpoints that a kill cannot spoil: a folder counts only with a mark, written last, that tells its files' sizes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from training.own_files import write_whole

_MARK = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")
#: Checkpoints that are kept: the last, and the one before it.
_KEPT = 2


def mark(folder: Path) -> None:
    """Say that all files of a checkpoint are there."""
    sizes = {one.name: one.stat().st_size for one in sorted(folder.iterdir()) if one.name != _MARK}
    write_whole(folder / _MARK, json.dumps(sizes))


def is_complete(folder: Path) -> bool:
    """Whether a checkpoint was marked, and its files are what they were then."""
    try:
        sizes = json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def checkpoints(folder: Path) -> list[Path]:
    """Folders of checkpoints below a stage's folder, complete or not, the first step first."""
    found = [(int(name[1]), one) for one in folder.glob("checkpoint-*") if (name := _NAME.fullmatch(one.name))]
    return [path for _, path in sorted(found)]


def last_complete(folder: Path) -> Path | None:
    """The checkpoint from which a stage goes on."""
    return next((one for one in reversed(checkpoints(folder)) if is_complete(one)), None)


def remove_old(folder: Path) -> None:
    """Remove all but the last complete checkpoints, and what was cut off."""
    complete = [one for one in checkpoints(folder) if is_complete(one)]
    for path in checkpoints(folder):
        if path not in complete[-_KEPT:]:
            # Without its mark, what a kill leaves of the folder is no checkpoint.
            (path / _MARK).unlink(missing_ok=True)
            shutil.rmtree(path)
