"""Side tables of the miners that see the whole corpus."""

from __future__ import annotations

import pyarrow as pa

from schemas.crawl_tables import ELIGIBLE, PAIRS
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
            field("view", pa.string(), "image, pattern or text; of a crop `crop` and its number", False),
            field("ids", pa.list_(pa.binary()), "its nearest images, nearest first: 32 bytes each", False),
            field("scores", pa.list_(pa.float32()), "cosines, rounded to 4 decimals", False),
        ]
    ),
    "nearest neighbours of each image in each view, sorted by image; of one part of the corpus, or of all",
)

NEAR_IMAGES = Table(
    "near_images",
    "_work/side/near_images",
    1,
    pa.schema(
        [
            field("rank", pa.binary(), "an image: 8 bytes that fall with its pixels, then its id", False),
            field("of_part", pa.bool_(), "of the part that was searched, not of the one that asked", False),
            field("near", pa.list_(pa.binary()), "better images near it, of the other part: ranks, sorted", False),
            field("cut", pa.bool_(), "whether there are more of them", False),
        ]
    ),
    "images that have a better one near them by their features, as one search of two parts for each other finds them",
)

CROPS = Table(
    "crops",
    "_work/side/crops",
    1,
    pa.schema(
        [
            field("image_id", pa.string(), "an image of the corpus", False),
            field("number", pa.int32(), "number of the crop in the image, from 0, surest first", False),
            field("box", pa.list_(pa.float32()), "x, y, width, height of the object, as shares of the image", False),
            field("label", pa.string(), "what the detector takes it for", False),
            field("score", pa.float32(), "how surely, 0 to 1", False),
            field("sketch", pa.binary(), "the crop's features as `eligible` has those of whole images", False),
        ]
    ),
    "objects that a detector saw in the images that a shard searches for, sorted by image and number",
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

MODEL_VECTORS = Table(
    "model_vectors",
    "_work/side/model_vectors",
    1,
    pa.schema(
        [
            field("image_id", pa.string(), "an image of the train split, or the query image of a triplet", False),
            field("target_image_id", pa.string(), "the triplet's target; null for an image alone"),
            field("text", pa.string(), "the triplet's instruction; null for an image alone"),
            field("vector", pa.list_(pa.float32()), "what the guiding model makes of it, unit length", False),
        ]
    ),
    "images and queries of the train split as a trained model embeds them; images first, both sorted",
)

RANKINGS = Table(
    "rankings",
    "_work/side/rankings",
    1,
    pa.schema(
        [
            field("query_image_id", pa.string(), "the query image of a train triplet", False),
            field("target_image_id", pa.string(), "its target", False),
            field("text", pa.string(), "its instruction", False),
            field("target_score", pa.float32(), "the model's cosine of the query with the target", False),
            field(
                "answers", pa.list_(pa.string()), "the nearest images, nearest first, without the query image", False
            ),
            field("scores", pa.list_(pa.float32()), "their cosines, rounded to 4 decimals", False),
        ]
    ),
    "how a trained model answers train triplets",
)

MISTAKES = Table(
    "mistakes",
    "_work/side/mistakes",
    1,
    pa.schema(
        [
            field("query_image_id", pa.string(), "the query image of a pair", False),
            field("target_image_id", pa.string(), "its target, which was not the first answer", False),
            field("round", pa.int32(), "number of the round, from 1", False),
            field("rank", pa.int32(), "the target's rank", False),
            field("negatives", pa.list_(pa.string()), "wrong answers that become hard negatives of the pair", False),
            field("places", pa.list_(pa.binary()), "where the rows of `eligible` of these lie", False),
        ]
    ),
    "pairs that a trained model answers wrongly",
)

NEGATIVE_IMAGES = Table(
    "negative_images",
    "_work/side/negative_images",
    2,
    ELIGIBLE.schema,
    "images of other pages that hard negatives name, at the places that stand for them",
)
