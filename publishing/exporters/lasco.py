"""LaSCo's form: JSON arrays of `qid`, `query-image` (id, path), `query-text`, `target-image` (id, path).

Files: `lasco_train.json`, `lasco_val.json`, `lasco_test.json`, for each the images of the split as `…_corpus.json`
(`image-id`, `image-path`), and `images/`. Ids are numbers, as LaSCo's are; `triplet-id` leads back to the dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from publishing.exporters.source import Source, write_array
from schemas.storage import Folder

_NAMES = {"train": "train", "validation": "val", "test": "test"}


def write(source: Source, output: Folder) -> int:
    """Write the export; the number of triplets."""
    numbers, rows = count(1), 0
    for split in source.splits():
        name = f"lasco_{_NAMES[split]}"
        corpus = ({"image-id": number, "image-path": path} for _, number, path in source.write_images(output, split))
        write_array(output, f"{name}_corpus.json", corpus)
        rows += write_array(output, f"{name}.json", _records(source, split, numbers))
    return rows


def _records(source: Source, split: str, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    for row in source.triplets(split):
        query, target = row["query_image_id"], row["target_image_id"]
        yield {
            "qid": next(numbers),
            "query-image": [source.number(query), source.path(query)],
            "query-text": row["instruction"],
            "target-image": [source.number(target), source.path(target)],
            "triplet-id": row["triplet_id"],
        }
