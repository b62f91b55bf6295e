"""A dataset opened for training: its files of triplets, and images by number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError
from training.data.image_store import ImageStore, ParquetImages
from training.data.parquet_files import Location, below, located, stamp


@dataclass(frozen=True)
class OpenDataset:
    """A split: its files of triplets, its images, and a digest that changes when any of them does."""

    files: list[Location]
    images: ImageStore
    digest: str


def open_dataset(folder: Location, split: str, work: Path) -> OpenDataset:
    """The split of a dataset on a disk or at an address (s3://, hf://datasets/NAME, …); what is made for reading it
    lies in `work`.

    Raises ConfigurationError for a folder that is no dataset and for a split that it does not have.
    """
    folder = located(folder)
    if not below(folder, "ids", "*.parquet"):
        raise ConfigurationError(f"{folder} is no dataset of Lensmith: give the folder `dataset` of a run.")
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
