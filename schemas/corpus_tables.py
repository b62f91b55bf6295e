"""Side tables of the miners that see the whole corpus."""

from __future__ import annotations

import pyarrow as pa

from schemas.crawl_tables import PAIRS
from schemas.table import Table, field

CANDIDATES = Table(
    "candidates",
    "_work/side/candidates",
    1,
    PAIRS.schema,
    "pairs that one miner found, before those of all miners are joined, capped and counted against quotas",
)

NEIGHBOURS = Table(
    "neighbours",
    "_work/side/neighbours",
    1,
    pa.schema(
        [
            field("image_id", pa.string(), "an image of the corpus", False),
            field("view", pa.string(), "image, pattern or text", False),
            field("ids", pa.list_(pa.binary()), "its nearest images, nearest first: 32 bytes each", False),
            field("scores", pa.list_(pa.float32()), "cosines, rounded to 4 decimals", False),
        ]
    ),
    "nearest neighbours of each image in each view, sorted by image; of one part of the corpus, or of all",
)

FOUND = Table(
    "found",
    "_work/side/found",
    1,
    pa.schema(
        [
            field("query_image_id", pa.string(), "the query image", False),
            field("target_image_id", pa.string(), "the target image", False),
            field("miner", pa.string(), "name of the miner", False),
            field("score", pa.float32(), "the miner's, more is better", False),
            field("why", pa.string(), "what the miner saw, in a few words", False),
            field("negatives", pa.list_(pa.string()), "image ids that look right and are not", False),
            field("query_box", pa.list_(pa.float32()), "x, y, width, height of the object, as shares of the image"),
            field("target_box", pa.list_(pa.float32()), "the same in the target image"),
        ]
    ),
    "pairs of images that a miner of the corpus found, by their ids alone",
)

MEETINGS = Table(
    "meetings",
    "_work/side/meetings",
    1,
    pa.schema(
        [
            field("key", pa.string(), "what images meet under: an entity, a template of addresses", False),
            field("miner", pa.string(), "name of the miner", False),
            field("image_id", pa.string(), "an image of the corpus", False),
            field("said", pa.binary(), "what its partners must know of it, at most 400 bytes", False),
        ]
    ),
    "the keys of a shard's images, at the places that stand for them",
)
