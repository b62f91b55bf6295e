"""Arrow schemas of the published configurations, from which `datasets.Features` follow.

`datasets` reads the features out of the schema's `huggingface` metadata, so a reader decodes images with no code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from schemas.tables import CHAIN_FIELDS, INSTRUCTION, PAIR_SCORES, PARSE, PARSE_TYPES, TIMESTAMP

#: How `datasets` stores an image: the original file and a name that says its format.
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

SPLITS = ("train", "validation", "test")

_HEAD: list[tuple[str, pa.DataType, str]] = [
    ("triplet_id", pa.string(), "hash of the pair and the instruction"),
]
_BYTES: list[tuple[str, pa.DataType, str]] = [
    ("query_image", IMAGE, "the image that a search starts from"),
    ("target_image", IMAGE, "the image that the instruction leads to"),
]
_REST: list[tuple[str, pa.DataType, str]] = [
    ("instruction", pa.string(), "what leads from the query image to the target image: the best of `instructions`"),
    ("instructions", pa.list_(INSTRUCTION), "all texts of the pair with how each was made and judged, best first"),
    *((name, PARSE_TYPES[name], doc) for name, doc in PARSE.items()),
    ("hard_negatives", pa.list_(pa.string()), "image ids, first the query image"),
    ("query_image_id", pa.string(), "hex SHA-256 of the query image's file"),
    ("target_image_id", pa.string(), "hex SHA-256 of the target image's file"),
    ("page_id", pa.string(), "hash of the page's address and payload"),
    ("page_url", pa.string(), "address of the page on which both images stand, or the query image"),
    ("page_title", pa.string(), "title of that page"),
    ("query_image_url", pa.string(), "address of the query image as the page names it"),
    ("target_image_url", pa.string(), "address of the target image as the page names it"),
    ("query_text", pa.string(), "text of the query image (caption, alt) that was used"),
    ("target_text", pa.string(), "text of the target image (caption, alt) that was used"),
    ("visual_similarity", pa.float32(), "cosine of the two images' features"),
    ("text_similarity", pa.float32(), "cosine of the two texts' embeddings; null where an image has no text"),
    ("mining", pa.string(), "names of the miners that found the pair, joined by +"),
    ("mining_details", pa.string(), "what each of them saw, in a few words"),
    ("language", pa.string(), "language of the page, ISO 639-1"),
    ("license", pa.string(), "licence that the page states, as it states it; null where it states none"),
    ("opt_out", pa.string(), "opt-out signals seen; null when none was"),
    ("crawl_date", TIMESTAMP, "when the page was archived"),
    ("verdict", pa.string(), "the verifier's: pass, fail, ambiguous or unchecked"),
    ("rank_text", pa.int32(), "1-based rank of the target among its page's images by the text alone"),
    ("rank_query", pa.int32(), "the same by the query image alone"),
    ("rank_both", pa.int32(), "the same by both"),
    ("target_page_id", pa.string(), "the target image's page, where it is another one"),
    ("target_page_url", pa.string(), "its address"),
    ("target_page_title", pa.string(), "its title"),
    ("query_box", pa.list_(pa.float32()), "x, y, width, height of a shared object as shares of the query image"),
    ("target_box", pa.list_(pa.float32()), "the same in the target image"),
    (
        "query_generated",
        pa.string(),
        "what in its metadata says that a model made the query image; null if nothing does",
    ),
    ("target_generated", pa.string(), "the same of the target image"),
    *PAIR_SCORES,
]
_IMAGES: list[tuple[str, pa.DataType, str]] = [
    ("image_id", pa.string(), "hex SHA-256 of the image's file"),
    ("image", IMAGE, "the image"),
    ("url", pa.string(), "address from which the image came"),
    ("license", pa.string(), "licence that a page showing the image states; null where it states none"),
    ("blurred", pa.bool_(), "faces in it were blurred: the id is that of the file before"),
]


@dataclass(frozen=True)
class Configuration:
    """One published configuration: its name, the folder of its files, its Arrow schema, what its columns mean."""

    name: str
    folder: str
    schema: pa.Schema
    docs: dict[str, str]
    doc: str

    @cached_property
    def image_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold image files."""
        return tuple(field.name for field in self.schema if field.type == IMAGE)


def _feature(kind: pa.DataType) -> Any:
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {kind.field(i).name: _feature(kind.field(i).type) for i in range(kind.num_fields)}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    names = {
        pa.string(): "string",
        pa.bool_(): "bool",
        pa.float32(): "float32",
        pa.int32(): "int32",
        TIMESTAMP: "timestamp[us, tz=UTC]",
    }
    return {"dtype": names[kind], "_type": "Value"}


def _configuration(name: str, folder: str, fields: list[tuple[str, pa.DataType, str]], doc: str) -> Configuration:
    info = {"info": {"features": {column: _feature(kind) for column, kind, _ in fields}}}
    schema = pa.schema([(column, kind) for column, kind, _ in fields]).with_metadata({"huggingface": json.dumps(info)})
    return Configuration(name, folder, schema, {column: text for column, _, text in fields}, doc)


TRIPLETS = _configuration("triplets", "data", _HEAD + _BYTES + _REST, "the triplets with both images")
IMAGES = _configuration("images", "images", _IMAGES, "every image that a triplet or a hard negative names, once, by id")
IDS = _configuration("ids", "ids", _HEAD + _REST, "the triplets without image files, what a trainer reads")
CHAINS = _configuration(
    "chains",
    "chains",
    CHAIN_FIELDS,
    "triplets that follow each other, the target of one being the query of the next: searches of several turns",
)

#: The published configurations in the order in which a card lists them; the first that exists is the default.
#: `triplets` and `chains` may be left out by a setting.
PUBLISHED = (TRIPLETS, IMAGES, IDS, CHAINS)

#: The published configurations by name.
CONFIGURATIONS = {one.name: one for one in PUBLISHED}
