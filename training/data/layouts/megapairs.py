"""MegaPairs (arXiv 2412.14475): JSON lines `q_img`, `q_text` (a list), `t_img`, `hns` (hard negatives, of which the
first is the query image itself)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.data.layouts.fields import field, image_in, images_in, texts_in, triplet
from training.data.layouts.files import json_splits
from training.data.layouts.interface import Layout, Triplet
from training.data.layouts.json_records import json_records


def _splits(folder: Path) -> dict[str, list[Path]]:
    return json_splits(folder, ("q_img", "t_img"), r"megapairs(_\w+)?\.jsonl")


def _triplet(record: Mapping[str, Any]) -> Triplet:
    query = image_in(field(record, "q_img"), "no_query_image")
    target = image_in(field(record, "t_img"), "no_target_image")
    return triplet(None, query, target, texts_in(field(record, "q_text")), images_in(record.get("hns")))


MEGAPAIRS = Layout(
    name="megapairs",
    looks="*.jsonl with q_img, q_text, t_img, hns",
    splits=_splits,
    records=json_records,
    triplet=_triplet,
)
