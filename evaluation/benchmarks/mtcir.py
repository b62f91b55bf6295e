"""MTCIR's form (CoLLM, CVPR 2025) and tables like it: one line a query, with a map of column names.

The gallery is every image that the table names, the query's own taken out; metrics as for Lensmith's datasets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.benchmarks.files import csv_rows, read_json, read_text
from evaluation.benchmarks.target_search import Row, target_part
from evaluation.task import ImageFile, Task
from schemas.errors import ConfigurationError

#: Our names of the columns, and MTCIR's.
COLUMNS = {"id": "id", "image": "image", "target": "target_image", "text": "modifications"}


@dataclass(frozen=True)
class Mtcir:
    """The benchmark `mtcir`. `columns` overrides `COLUMNS`; an id that the table lacks is the line's number."""

    columns: Mapping[str, str] = field(default_factory=dict)
    name: str = "mtcir"
    protocols: tuple[str, ...] = ("official",)
    splits: tuple[str, ...] = ("all",)

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """A .jsonl, .json, .csv or .parquet file, or the one such file of a folder."""
        path = _table(root)
        columns = COLUMNS | dict(self.columns)
        found = _read(path)
        if not found:
            raise ConfigurationError(f"{path} holds no rows.")
        needed = [columns["image"], columns["target"], columns["text"]]
        if "id" in self.columns:
            needed.append(columns["id"])
        missing = [one for one in needed if one not in found[0]]
        if missing:
            held_columns = ", ".join(map(str, found[0]))
            raise ConfigurationError(
                f"{path} has no column {', '.join(missing)}: name its columns with --columns image=…,target=…,text=…; "
                f"it holds {held_columns}."
            )
        rows = [_row(path, number, one, columns) for number, one in enumerate(found)]
        gallery = tuple(dict.fromkeys(image for row in rows for image in (row.query_image, row.target_image)))
        part = target_part(path, rows, gallery, str(path), lambda one: ImageFile((one, f"images/{one}")))
        return Task(self.name, protocol, split, (part,))


def parse_columns(text: str) -> dict[str, str]:
    """`image=reference,target=target_id` as a map. Raises ConfigurationError for other forms and unknown names."""
    pairs = [one.partition("=") for one in text.split(",")]
    if not all(name and column for name, _, column in pairs) or any(name not in COLUMNS for name, _, _ in pairs):
        raise ConfigurationError(f"--columns {text!r} is not NAME=COLUMN,…: the names are {', '.join(COLUMNS)}.")
    return {name: column for name, _, column in pairs}


def _table(root: Path) -> Path:
    if root.is_file():
        return root
    found = sorted(path for path in root.glob("*") if path.suffix in (".jsonl", ".json", ".csv", ".parquet"))
    if len(found) != 1:
        raise ConfigurationError(f"{root} holds {len(found)} tables: name the file itself with --annotations.")
    return found[0]


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigurationError(f"cannot read {path}: {error}.") from error
        return rows
    if path.suffix == ".csv":
        return list(csv_rows(path, ()))
    if path.suffix == ".json":
        entries = read_json(path, list)
    else:
        try:
            entries = [json.loads(line) for line in read_text(path).splitlines() if line.strip()]
        except ValueError as error:
            raise ConfigurationError(f"{path} holds a line that is no JSON: {error}.") from error
    if not all(isinstance(one, dict) for one in entries):
        raise ConfigurationError(f"{path} must hold one object a row.")
    return list(entries)


def _row(path: Path, number: int, found: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    image, target, text = (found.get(columns[name]) for name in ("image", "target", "text"))
    # Several modifications of one pair are sentences of one text.
    told = " ".join(str(one) for one in text) if isinstance(text, list) else text
    if not isinstance(image, str) or not isinstance(target, str) or not isinstance(told, str):
        raise ConfigurationError(f"{path}, row {number}: image, target and text must be strings.")
    return Row(str(found.get(columns["id"], number)), image, target, told)
