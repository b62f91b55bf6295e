"""MegaPairs' form: JSON lines `q_img`, `q_text` (a list), `t_img`, `hns` (hard negatives), beside the image files.

`hns[0]` is the query image itself, which MegaPairs asks every trainer to use. Files: `megapairs.jsonl` (train),
`megapairs_validation.jsonl`, `megapairs_test.jsonl`, `images/`.
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
    return "megapairs.jsonl" if split == "train" else f"megapairs_{split}.jsonl"


def _records(source: Source, split: str) -> Iterator[dict[str, Any]]:
    for row in source.triplets(split):
        negatives = [row["query_image_id"], *(row["hard_negatives"] or ())]
        yield {
            "q_img": source.path(row["query_image_id"]),
            "q_text": texts(row),
            "t_img": source.path(row["target_image_id"]),
            "hns": [source.path(one) for one in dict.fromkeys(negatives)],
        }
