"""The definition of every table: name, version, Arrow schema. A column is named, typed and explained in one place only:
here, in `crawl_tables`, `corpus_tables` or `writing_tables`, all of which are to be had from here."""

from __future__ import annotations

import pyarrow as pa

from schemas.corpus_tables import (
    CANDIDATES,
    CROPS,
    FOUND,
    MEETINGS,
    MISTAKES,
    MODEL_VECTORS,
    NEAR_IMAGES,
    NEGATIVE_IMAGES,
    NEIGHBOURS,
    RANKINGS,
)
from schemas.crawl_tables import (
    ANNOTATIONS,
    ELIGIBLE,
    IMAGES,
    MATCHES,
    PAGE_IMAGES,
    PAGES,
    PAIR_SCORES,
    PAIRS,
    PAYLOADS,
    REVISITS,
    ROBOTS,
    TEXTS,
)
from schemas.table import TIMESTAMP, Table, field
from schemas.writing_tables import (
    BATCH_REQUESTS,
    CAPTIONS,
    CHOICES,
    GENERATIONS,
    INSTRUCTION,
    PARSE,
    PARSE_TYPES,
    TEXT_TRIPLETS,
    TRIPLETS,
    VERIFIED,
    WRITTEN_CAPTIONS,
)

__all__ = [
    "ANNOTATIONS",
    "ASSIGNED",
    "ASSIGNED_CHAINS",
    "ASSIGNED_IMAGES",
    "BATCH_REQUESTS",
    "CANDIDATES",
    "CAPTIONS",
    "CHAIN_FIELDS",
    "CHOICES",
    "CROPS",
    "DEFERRED",
    "ELIGIBLE",
    "FOUND",
    "GENERATIONS",
    "IMAGES",
    "INSTRUCTION",
    "MATCHES",
    "MEETINGS",
    "NEAR_IMAGES",
    "NEIGHBOURS",
    "PAGES",
    "PAGE_IMAGES",
    "PAIRS",
    "PAIR_SCORES",
    "PARSE",
    "PARSE_TYPES",
    "PAYLOADS",
    "REJECTED",
    "REVISITS",
    "ROBOTS",
    "TABLES",
    "TEXTS",
    "TEXT_TRIPLETS",
    "TIMESTAMP",
    "TRIPLETS",
    "VERIFIED",
    "WRITTEN_CAPTIONS",
    "Table",
]

ASSIGNED = Table(
    "assigned",
    "_work/side/assigned",
    1,
    pa.schema([*VERIFIED.schema, field("split", pa.string(), "train, validation or test", False)]),
    "verified triplets that are published, with their split; hard negatives of other splits are left out",
)

ASSIGNED_IMAGES = Table(
    "assigned_images",
    "_work/side/assigned_images",
    1,
    pa.schema(
        [
            field("image_id", pa.string(), "an image that a published triplet of the shard names", False),
            field("split", pa.string(), "its split", False),
            field("url", pa.string(), "address from which it came", False),
            field("license", pa.string(), "licence of a page that shows it"),
            field("source", pa.int32(), "number of the shard that holds its bytes", False),
            field("file", pa.int32(), "number of the file in that shard", False),
            field("row", pa.int64(), "row in that file", False),
            field("bytes", pa.int64(), "size of the image file", False),
        ]
    ),
    "where the images of a shard's published triplets lie",
)

#: Columns of a chain of triplets, in its table and as it is published: name, type, meaning.
CHAIN_FIELDS: list[tuple[str, pa.DataType, str]] = [
    ("chain_id", pa.string(), "hash of the chain's triplets in their order"),
    ("images", pa.list_(pa.string()), "image ids in the order in which they are shown: one more than turns"),
    ("instructions", pa.list_(pa.string()), "what leads from each image to the next: the triplets' `instruction`"),
    ("triplet_ids", pa.list_(pa.string()), "the triplets of the turns, rows of `ids`"),
    ("page_id", pa.string(), "page of the first triplet, and of all of them unless images of several pages meet"),
    ("mining", pa.string(), "names of the miners that found the pairs, joined by +"),
]

ASSIGNED_CHAINS = Table(
    "assigned_chains",
    "_work/side/assigned_chains",
    1,
    pa.schema(
        [
            *(field(name, kind, doc, False) for name, kind, doc in CHAIN_FIELDS),
            field("split", pa.string(), "train, validation or test", False),
        ]
    ),
    "chains of a shard's published triplets, with their split",
)

REJECTED = Table(
    "rejected",
    "rejected",
    1,
    pa.schema(
        [
            field(
                "unit",
                pa.string(),
                "record, page, place, address, image, text, candidate_pair, pair, request, triplet",
                False,
            ),
            field("id", pa.string(), "the unit's id", False),
            field("url", pa.string(), "its address, where it has one"),
            field("reason", pa.string(), "snake_case; failures begin with error:", False),
            field("detail", pa.string(), "up to 500 characters"),
        ]
    ),
    "one row for each unit that a stage dropped",
)

DEFERRED = Table("deferred", "_work/deferred", 1, REJECTED.schema, "units put off because a budget ran out")

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        PAGES,
        PAGE_IMAGES,
        IMAGES,
        ROBOTS,
        PAYLOADS,
        REVISITS,
        ANNOTATIONS,
        TEXTS,
        PAIRS,
        ELIGIBLE,
        CANDIDATES,
        NEIGHBOURS,
        CROPS,
        MEETINGS,
        FOUND,
        MATCHES,
        NEAR_IMAGES,
        MODEL_VECTORS,
        RANKINGS,
        MISTAKES,
        NEGATIVE_IMAGES,
        GENERATIONS,
        BATCH_REQUESTS,
        CHOICES,
        WRITTEN_CAPTIONS,
        CAPTIONS,
        TEXT_TRIPLETS,
        TRIPLETS,
        VERIFIED,
        ASSIGNED,
        ASSIGNED_IMAGES,
        ASSIGNED_CHAINS,
        REJECTED,
        DEFERRED,
    )
}
