"""Which layout a folder has, by what lies in it."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigurationError
from training.data.layouts.interface import Layout
from training.data.layouts.lasco import LASCO
from training.data.layouts.megapairs import MEGAPAIRS
from training.data.layouts.mmeb import MMEB
from training.data.layouts.mtcir import MTCIR

#: All layouts; of several that fit a folder the first is taken.
LAYOUTS: tuple[Layout, ...] = (MEGAPAIRS, MTCIR, LASCO, MMEB)


def layouts_told() -> str:
    """All layouts and what they look like, for messages."""
    return "; ".join(f"{one.name} ({one.looks})" for one in LAYOUTS)


def find_layout(folder: Path) -> Layout:
    """The layout of a folder on a disk; where several fit, the first of `LAYOUTS`.

    Raises ConfigurationError for a folder that is not there and for one that no layout fits.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}: give the folder of a dataset.")
    for one in LAYOUTS:
        if one.splits(folder):
            return one
    raise ConfigurationError(
        f"{folder} is no dataset that training reads: give the folder `dataset` of a run, or one with files of these "
        f"layouts in it or one folder below: {layouts_told()}."
    )
