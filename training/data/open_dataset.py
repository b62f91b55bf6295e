"""A dataset opened for training: its files of triplets, and images by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError
from training.data.image_store import FolderImages, ImageStore, ParquetImages
from training.data.layouts import converted, find_layout
from training.data.parquet_files import Location, below, is_address, located, stamp
from training.data.string_table import StringTable


@dataclass(frozen=True)
class OpenDataset:
    """A split: its files of triplets, its images, and a digest that changes when any of them does."""

    files: list[Location]
    images: ImageStore
    digest: str


def open_dataset(
    folder: Location,
    split: str,
    work: Path,
    images: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> OpenDataset:
    """The split of a dataset; what is made for reading it lies in `work`.

    Lensmith's own datasets are read where they lie, on a disk or at an address (s3://, hf://datasets/NAME, …). Those of
    other layouts lie on a disk, with image files below `images` (by default their own folder), and are made into rows
    once. Raises ConfigurationError for a folder that is no dataset and for a split that it does not have.
    """
    folder = located(folder)
    if below(folder, "ids", "*.parquet"):
        if images is not None:
            raise ConfigurationError(f"data.images is set, but {folder} holds its images itself: set it to null.")
        return _published(folder, split, work)
    if is_address(folder):
        raise ConfigurationError(
            f"{folder} is no dataset of Lensmith: give the address of the folder `dataset` of a run; other layouts are "
            "read from a disk."
        )
    here = Path(folder)
    found = converted(here, find_layout(here), split, work, images, say)
    return OpenDataset([found.ids], FolderImages(found.folder, StringTable(found.images)), found.digest)


def _published(folder: Location, split: str, work: Path) -> OpenDataset:
    files = below(folder, "ids", f"{split}-*.parquet")
    if not files:
        raise ConfigurationError(
            f"{folder} has no split {split!r}, and so no training triplets: give the run more input, or other splits."
        )
    images = below(folder, "images", f"{split}-*.parquet")
    if not images:
        raise ConfigurationError(f"{folder} has no images of the split {split!r}: publish it with its images.")
    key = stamp([*files, *images])
    return OpenDataset(files, ParquetImages(images, work / f"images-{split}-{key[:16]}"), key)
