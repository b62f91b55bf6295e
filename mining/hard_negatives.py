"""Hard negatives: images that a model takes for the target of a pair, and that are not it.

First the query image: without it a model learns to answer with the query itself (MagicLens, MegaPairs). Then images of
the same page, and where those do not suffice of the same site, most similar to the target first. Near duplicates of
the query or the target are left out, and so is what is so similar to the target that it may be a right answer too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mining.eligibility import near_duplicates
from mining.mine_config import MineConfig
from mining.places import ImageFacts
from mining.similarity import SketchMatrix, cosines, sketch_matrix
from schemas.ids import digest


@dataclass(frozen=True, slots=True)
class Pool:
    """Images to choose negatives from, distinct and sorted by id, with their sketches."""

    images: tuple[ImageFacts, ...]
    sketches: SketchMatrix


def make_pool(images: Iterable[ImageFacts], limit: int | None = None) -> Pool:
    """A pool of distinct images; above `limit` those with the smallest hash of their id, whatever their order."""
    distinct = {image.image_id: image for image in images}
    ids = sorted(distinct)
    if limit is not None and len(ids) > limit:
        ids = sorted(sorted(ids, key=lambda image_id: digest("negative", image_id))[:limit])
    chosen = tuple(distinct[image_id] for image_id in ids)
    return Pool(chosen, sketch_matrix([image.sketch for image in chosen]))


def hard_negatives(query: ImageFacts, target: ImageFacts, pools: Sequence[Pool], config: MineConfig) -> list[str]:
    """Image ids: the query image, then at most `config.hard_negatives.count` of the pools, earlier pools first.

    Within a pool the most similar to the target go first, ties by id.
    """
    chosen = [query.image_id]
    wanted = 1 + config.hard_negatives.count
    wanted_sketch = sketch_matrix([target.sketch])
    for pool in pools:
        if len(chosen) >= wanted:
            break
        if not pool.images:
            continue
        similar = cosines(wanted_sketch, pool.sketches)[0]
        # A stable sort of a pool sorted by id breaks ties by id.
        for index in np.argsort(-similar, kind="stable"):
            if len(chosen) >= wanted:
                break
            image = pool.images[int(index)]
            if similar[index] > config.hard_negatives.similarity_max or image.image_id in {*chosen, target.image_id}:
                continue
            if not near_duplicates(image, [query, target], config).any():
                chosen.append(image.image_id)
    return chosen
