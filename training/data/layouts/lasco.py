"""LaSCo (arXiv 2303.09429): JSON arrays of `qid`, `query-image` (id and path), `query-text`, `target-image` (id and
path). Its corpora (`…_corpus.json`) have none of these and are not read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.data.layouts.fields import field, image_in, texts_in, triplet
from training.data.layouts.files import json_splits
from training.data.layouts.interface import Layout, RecordError, Triplet
from training.data.layouts.json_records import json_records


def _splits(folder: Path) -> dict[str, list[Path]]:
    return json_splits(folder, ("query-image", "target-image"), r"lasco_(train|val|test)\.json")


def _path(value: Any, missing: str) -> str:
    if not value:
        raise RecordError(missing)
    if not isinstance(value, list) or len(value) != 2:
        raise RecordError("wrong_type", "an image is its id and its path")
    return image_in(value[1], missing)


def _triplet(record: Mapping[str, Any]) -> Triplet:
    query = _path(field(record, "query-image"), "no_query_image")
    target = _path(field(record, "target-image"), "no_target_image")
    # What Lensmith exports leads back to its own triplets; a question's number may stand in several records.
    own = record.get("triplet-id")
    return triplet(own, query, target, texts_in(field(record, "query-text")))


LASCO = Layout(
    name="lasco",
    looks="lasco_train.json and others, arrays of qid, query-image, query-text, target-image",
    splits=_splits,
    records=json_records,
    triplet=_triplet,
)
