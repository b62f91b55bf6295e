"""Runs by subsets of the triplets, such as selections, against as many that chance picks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError
from schemas.ids import digest
from training.config import train_config
from training.data.open_dataset import OpenDataset
from training.data.parquet_files import Location
from training.data.triplet_ids import ids_of, write_ids
from training.data.triplet_table import TripletTable
from training.study.runs import ALL, StudyRun, changed_run


def subset_runs(
    settings: Mapping[str, Any], opened: OpenDataset, subsets: Mapping[str, Location], randoms: int, folder: Path
) -> list[StudyRun]:
    """A run for each subset, given by name and place (see `ids_of`); for each size among them `randoms` runs of as many
    triplets that a hash of their ids picks; and one of all rows. The ids lie in files in `folder`.

    Rows that the settings leave out are in no run, and not counted for the size. Raises ConfigurationError for a subset
    none of whose triplets is in the dataset.
    """
    data = train_config(settings).data
    usable = _usable(TripletTable(opened.files, data, opened.images.numbers))
    parts: list[tuple[str, list[str]]] = []
    for name, place in subsets.items():
        found = [one for one in ids_of(place, data.split) if one in usable]
        if not found:
            raise ConfigurationError(
                f"--subset {name}: no triplet of {place} is among those of the split {data.split!r} that are used: "
                "give a subset of this very dataset."
            )
        parts.append((name, found))
    sizes = sorted({len(ids) for _, ids in parts})
    for number in range(randoms):
        picked = sorted(usable, key=lambda one: (digest("random subset", str(number), one), one))
        parts += [(_random_name(size if len(sizes) > 1 else None, number), picked[:size]) for size in sizes]
    runs = [changed_run(settings, name, {"data": {"triplets": str(write_ids(ids, folder))}}) for name, ids in parts]
    return [*runs, changed_run(settings, ALL, {})]


def _usable(table: TripletTable) -> set[str]:
    found: set[str] = set()
    for number in range(len(table)):
        found.update(table.window(number).table["triplet_id"].to_pylist())
    return found


def _random_name(size: int | None, number: int) -> str:
    return "random" + (f" {size:,}" if size else "") + (f", draw {number + 1}" if number else "")
