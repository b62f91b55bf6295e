"""Records and image files as the original datasets have them, and a look at what they become."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from drawn_pictures import drawn

from training.data.layouts import Converted, converted, find_layout


@pytest.fixture
def pictures(tmp_path) -> Callable[..., None]:
    """Writes pictures at paths below the dataset."""

    def write(*names: str) -> None:
        for number, name in enumerate(names):
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(drawn("circle", "red", number))

    return write


@pytest.fixture
def lines(tmp_path) -> Callable[[str, Sequence[Any]], Path]:
    """Writes JSON lines; a string is a line as it is."""

    def write(name: str, records: Sequence[Any]) -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records))
        return path

    return write


@pytest.fixture
def read(tmp_path) -> Callable[..., tuple[list[dict[str, Any]], Converted]]:
    """Converts a split of the dataset: its rows, and what the conversion says of itself."""

    def run(split: str = "train", **settings: Any) -> tuple[list[dict[str, Any]], Converted]:
        folder = tmp_path / "data"
        found = converted(folder, find_layout(folder), split, tmp_path / "work", **settings)
        return pq.read_table(found.ids).to_pylist(), found

    return run
