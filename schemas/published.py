"""Arrow schemas of the published configurations, from which `datasets.Features` follow.

`datasets` reads the features out of the schema's `huggingface` metadata, so a reader decodes images with no code.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from schemas.tables import INSTRUCTION, TIMESTAMP

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_HEAD = [("triplet_id", pa.string())]
_BYTES = [("query_image", IMAGE), ("target_image", IMAGE)]
_REST = [
    ("instruction", pa.string()),
    ("instructions", pa.list_(INSTRUCTION)),
    ("hard_negatives", pa.list_(pa.string())),
    ("query_image_id", pa.string()),
    ("target_image_id", pa.string()),
    ("page_id", pa.string()),
    ("page_url", pa.string()),
    ("page_title", pa.string()),
    ("query_image_url", pa.string()),
    ("target_image_url", pa.string()),
    ("query_text", pa.string()),
    ("target_text", pa.string()),
    ("visual_similarity", pa.float32()),
    ("text_similarity", pa.float32()),
    ("mining", pa.string()),
    ("license", pa.string()),
    ("opt_out", pa.string()),
    ("crawl_date", TIMESTAMP),
    ("verdict", pa.string()),
    ("rank_text", pa.int32()),
    ("rank_query", pa.int32()),
    ("rank_both", pa.int32()),
]
_IMAGES = [("image_id", pa.string()), ("image", IMAGE), ("url", pa.string()), ("license", pa.string())]

SPLITS = ("train", "validation", "test")


def _feature(kind: pa.DataType) -> Any:
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {kind.field(i).name: _feature(kind.field(i).type) for i in range(kind.num_fields)}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    names = {pa.string(): "string", pa.float32(): "float32", pa.int32(): "int32", TIMESTAMP: "timestamp[us, tz=UTC]"}
    return {"dtype": names[kind], "_type": "Value"}


def _published(fields: list[tuple[str, pa.DataType]]) -> pa.Schema:
    features = {name: _feature(kind) for name, kind in fields}
    info = {"info": {"features": features}}
    return pa.schema(fields).with_metadata({"huggingface": json.dumps(info)})


#: Configuration name → (folder of its files, schema).
CONFIGURATIONS: dict[str, tuple[str, pa.Schema]] = {
    "triplets": ("data", _published(_HEAD + _BYTES + _REST)),
    "images": ("images", _published(_IMAGES)),
    "ids": ("ids", _published(_HEAD + _REST)),
}
