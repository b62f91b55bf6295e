"""Files of triplet ids, by which a part of a dataset is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from schemas.errors import ConfigurationError
from schemas.ids import digest
from training.data.parquet_files import Location, ParquetFiles, below, is_address, located

_COLUMN = "triplet_id"


def ids_in(path: Path) -> pa.Array:
    """The ids in a text file, one a line, as they stand; empty lines are none. Raises ConfigurationError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the triplet ids in {path}: {error}.") from error
    return pa.array([one.strip() for one in lines if one.strip()], pa.string())


def ids_of(place: Location, split: str) -> list[str]:
    """The distinct triplet ids, sorted, of a dataset's split (its folder or address), of a parquet file with the column
    `triplet_id`, or of a text file with one a line. Raises ConfigurationError."""
    place = located(place)
    files: list[Location] = [place]
    if is_address(place) or Path(place).is_dir():
        files = below(place, "ids", f"{split}-*.parquet")
        if not files:
            raise ConfigurationError(f"{place} has no triplets of the split {split!r}: name a dataset that has.")
    elif Path(place).suffix != ".parquet":
        return sorted(set(ids_in(Path(place)).to_pylist()))
    found: set[str] = set()
    table = ParquetFiles(files)
    for start in range(0, len(table), 1 << 16):
        rows = table.rows(start, min(start + (1 << 16), len(table)), [_COLUMN])
        found.update(one for one in rows[_COLUMN].to_pylist() if one)
    return sorted(found)


def write_ids(ids: Iterable[str], folder: Path) -> Path:
    """Write ids, sorted, one a line, to a file of `folder` that is called by what it holds."""
    text = "".join(f"{one}\n" for one in sorted(ids))
    path = folder / f"{digest('triplet ids', text)[:16]}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def digest_of(path: Path) -> str:
    """A digest of the ids in a text file, wherever it lies; of its name where it is gone."""
    if not path.exists():
        return digest("file", str(path))
    return digest("triplet ids", *sorted(ids_in(path).to_pylist()))
