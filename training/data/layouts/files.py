"""Files of a folder that hold records with certain fields, and the split that a file's name says."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path

from training.data.layouts.json_records import json_records

#: Records of a file that are looked at before it is taken for something else.
_LOOKED_AT = 100
_SPLITS = {"val": "validation", "valid": "validation", "validation": "validation", "dev": "validation", "test": "test"}


def split_of(name: str) -> str:
    """The split that a file's name says: `validation` for val, valid, dev; `test`; `train` for all others."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SPLITS[one] for one in words if one in _SPLITS), "train")


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files with these suffixes in a folder and in the folders within it, sorted; hidden ones are left out."""
    found = [
        path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.suffix in suffixes and path.is_file()
    ]
    return sorted(one for one in found if not any(part.startswith(".") for part in one.relative_to(folder).parts))


def nearest(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Those that lie in the folder itself, or all where none does."""
    return [one for one in files if one.parent == folder] or list(files)


def by_split(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by the split that their names say."""
    found: dict[str, list[Path]] = {}
    for one in files:
        found.setdefault(split_of(one.stem), []).append(one)
    return found


def json_splits(folder: Path, fields: Collection[str], named: str) -> dict[str, list[Path]]:
    """Splits of the JSON files whose records have the fields; a file whose name is `named` (a regular expression) is
    one whatever it holds, so that a broken one is told of."""
    files = [
        path
        for path in files_in(folder, (".jsonl", ".json"))
        if re.fullmatch(named, path.name) or has_fields(path, fields)
    ]
    return by_split(nearest(folder, files))


def has_fields(path: Path, fields: Collection[str]) -> bool:
    """Whether one of a JSON file's first records has all of the fields."""
    looked_at = (one.value for one in islice(json_records(path), _LOOKED_AT))
    return any(isinstance(one, Mapping) and all(name in one for name in fields) for one in looked_at)
