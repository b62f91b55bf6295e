"""MTCIR (arXiv 2503.19910): JSON lines `id`, `image`, `target_image`, `modifications` (a list of texts)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.data.layouts.fields import field, image_in, texts_in, triplet
from training.data.layouts.files import json_splits
from training.data.layouts.interface import Layout, Triplet
from training.data.layouts.json_records import json_records


def _splits(folder: Path) -> dict[str, list[Path]]:
    return json_splits(folder, ("image", "target_image", "modifications"), r"mtcir(_\w+)?\.jsonl")


def _triplet(record: Mapping[str, Any]) -> Triplet:
    query = image_in(field(record, "image"), "no_query_image")
    target = image_in(field(record, "target_image"), "no_target_image")
    return triplet(record.get("id"), query, target, texts_in(field(record, "modifications")))


MTCIR = Layout(
    name="mtcir",
    looks="*.jsonl with id, image, target_image, modifications",
    splits=_splits,
    records=json_records,
    triplet=_triplet,
)
