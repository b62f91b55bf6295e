"""A dataset's folder opened for training: files of triplets, and images by number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError
from schemas.ids import digest
from training.data.image_store import ImageStore, ParquetImages


@dataclass(frozen=True)
class OpenDataset:
    """A split: its files of triplets, its images, and a digest that changes when any of them does."""

    files: list[Path]
    images: ImageStore
    digest: str


def open_dataset(folder: Path, split: str, work: Path) -> OpenDataset:
    """The split of a dataset, whatever its layout; what is made for reading it lies in `work`.

    Raises ConfigurationError for a folder that is no dataset and for a split that it does not have.
    """
    if not (folder / "ids").is_dir():
        raise ConfigurationError(f"{folder} is no dataset of Lensmith: give the folder `dataset` of a run.")
    files = sorted((folder / "ids").glob(f"{split}-*.parquet"))
    if not files:
        raise ConfigurationError(
            f"{folder} has no split {split!r}, and so no training triplets: give the run more input, or other splits."
        )
    images = sorted((folder / "images").glob(f"{split}-*.parquet"))
    stamp = _stamp([*files, *images])
    return OpenDataset(files, ParquetImages(images, work / f"images-{split}-{stamp[:16]}"), stamp)


def _stamp(files: list[Path]) -> str:
    """A digest of names, sizes and times of files."""
    parts = []
    for path in files:
        state = path.stat()
        parts.append(f"{path.name} {state.st_size} {state.st_mtime_ns}")
    return digest("files", *parts)
