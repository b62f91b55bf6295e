"""A published dataset as a trainer reads it: the triplets of `ids`, and the images of `images` by id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Triplet:
    """One row of `ids`: what a search starts from, what it says, and what it should find."""

    triplet_id: str
    query_image_id: str
    target_image_id: str
    instruction: str
    hard_negatives: tuple[str, ...]


def read_triplets(dataset: Path, split: str) -> list[Triplet]:
    """The triplets of a split, in the order of the files; an absent split has none.

    Raises ConfigurationError for a folder that is no dataset.
    """
    if not (dataset / "ids").is_dir():
        raise ConfigurationError(f"{dataset} is no dataset of Lensmith: give the folder `dataset` of a run.")
    columns = ["triplet_id", "query_image_id", "target_image_id", "instruction", "hard_negatives"]
    found = []
    for path in sorted((dataset / "ids").glob(f"{split}-*.parquet")):
        for row in pq.read_table(path, columns=columns).to_pylist():
            found.append(_triplet(row))  # noqa: PERF401 - the loops say more than one comprehension
    return found


def _triplet(row: dict[str, Any]) -> Triplet:
    names = ("triplet_id", "query_image_id", "target_image_id", "instruction")
    first, query, target, instruction = (row[name] for name in names)
    return Triplet(first, query, target, instruction, tuple(row["hard_negatives"] or ()))


def read_images(dataset: Path, split: str) -> Iterator[tuple[str, bytes]]:
    """Ids and files of a split's images, sorted by id, a row group at a time in memory."""
    for path in sorted((dataset / "images").glob(f"{split}-*.parquet")):
        with pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches(batch_size=64, columns=["image_id", "image"]):
                for row in batch.to_pylist():
                    yield row["image_id"], row["image"]["bytes"]
