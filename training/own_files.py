"""Files that are written whole or not at all, and folders that hold nothing but ours."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from schemas.errors import ConfigurationError


def write_whole(path: Path, text: str) -> None:
    """Write a file, or leave it as it was."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def save_whole(state: Any, path: Path) -> None:
    """`torch.save`, or the file as it was."""
    part = path.with_name(f"{path.name}.part")
    torch.save(state, part)
    os.replace(part, path)


def make_folder(folder: Path, own: Collection[str], what: str) -> None:
    """Make the folder of a `what`. Raises ConfigurationError for one that holds anything but `own` names."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(one.name for one in folder.iterdir() if one.name.removesuffix(".part") not in own)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be the {what}'s folder: {error.strerror}.") from error
    if foreign:
        raise ConfigurationError(f"{folder} holds {foreign[0]!r}: give --output an empty folder or one of a {what}.")
