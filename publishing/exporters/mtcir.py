"""MTCIR's form: JSON lines `id`, `image`, `target_image`, `modifications` (a list), beside the image files.

Files: `mtcir.jsonl` (train), `mtcir_validation.jsonl`, `mtcir_test.jsonl`, `images/`. Every text leads from `image` to
`target_image`; the reversed pair is a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from publishing.exporters.source import Source, texts, write_lines
from schemas.storage import Folder


def write(source: Source, output: Folder) -> int:
    """Write the export; the number of triplets."""
    source.write_all_images(output)
    return sum(write_lines(output, _name(split), _records(source, split)) for split in source.splits())


def _name(split: str) -> str:
    return "mtcir.jsonl" if split == "train" else f"mtcir_{split}.jsonl"


def _records(source: Source, split: str) -> Iterator[dict[str, Any]]:
    for row in source.triplets(split):
        yield {
            "id": row["triplet_id"],
            "image": source.path(row["query_image_id"]),
            "target_image": source.path(row["target_image_id"]),
            "modifications": texts(row),
        }
