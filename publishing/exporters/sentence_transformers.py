"""The form that sentence-transformers' trainer takes: `load_dataset(FOLDER)` with the columns `anchor`
({`image`, `text`}), `positive` (image) and `negative` (image, the query image: the negative that matters most).

Columns stand in the order that `MultipleNegativesRankingLoss` and its cached form expect; one row a triplet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import yaml

from publishing.dataset_reader import ImageLookup, rows
from publishing.exporters.source import Source
from publishing.layout import file_name
from schemas.published import IMAGE
from schemas.storage import PARQUET, Folder

_FEATURES = {
    "anchor": {"image": {"_type": "Image"}, "text": {"dtype": "string", "_type": "Value"}},
    "positive": {"_type": "Image"},
    "negative": {"_type": "Image"},
}
SCHEMA = pa.schema(
    [("anchor", pa.struct([("image", IMAGE), ("text", pa.string())])), ("positive", IMAGE), ("negative", IMAGE)]
).with_metadata({"huggingface": json.dumps({"info": {"features": _FEATURES}})})
_BATCH_BYTES = 4 << 20


def write(source: Source, output: Folder) -> int:
    """Write the export; the number of triplets."""
    count, files = 0, []
    for split in source.splits():
        name = file_name("data", split, 0, 1)
        files.append({"split": split, "path": name})
        with output.parquet_writer(name, SCHEMA, **PARQUET | {"dictionary_pagesize_limit": 1 << 30}) as writer:
            for batch in _batches(_records(source, split)):
                writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))
                count += len(batch)
    head = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": files}]}, sort_keys=False)
    output.replace("README.md", f"---\n{head}---\n\n{source.about.config.title}, for sentence-transformers.\n".encode())
    return count


def _records(source: Source, split: str) -> Iterator[dict[str, Any]]:
    for row, query, target in _triplets(source, split):
        source.images += 2
        yield {"anchor": {"image": query, "text": row["instruction"]}, "positive": target, "negative": query}


def _triplets(source: Source, split: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Rows with both images: from `triplets` where it was published, else by looking the images up."""
    if source.about.config.include_bytes:
        for row in rows(source.folder, source.about, "triplets", split, ("instruction", "query_image", "target_image")):
            yield row, row["query_image"], row["target_image"]
        return
    images = ImageLookup(source.folder, source.about, [split])
    for row in source.triplets(split):
        yield row, images.get(row["query_image_id"]), images.get(row["target_image_id"])


def _batches(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record["positive"]["bytes"]) + 2 * len(record["negative"]["bytes"])
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
