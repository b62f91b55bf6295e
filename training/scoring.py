"""Recall and mAP of a model on a dataset's own split, beside controls that see only one half of the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.metrics import average_precision, found_within
from evaluation.ranking import Gallery, target_ranks
from schemas.protocols import Float32Array
from training.dataset import Triplet
from training.fusion_model import FusionModel, encode
from training.train import Features

METRICS = ("R@1", "R@5", "R@10", "mAP@10")


def score(
    queries: Float32Array, images: Float32Array, triplets: Sequence[Triplet], ids: Sequence[str]
) -> dict[str, float]:
    """Percentages of `METRICS`: queries float32 (n, d) in a gallery float32 (m, d) from which the query image is taken
    out. Images that tie with the target go before it: the lower bounds of the evaluator's benchmark `lensmith`."""
    places = {image_id: index for index, image_id in enumerate(ids)}
    targets = np.array([places[one.target_image_id] for one in triplets])
    ranks = []
    for start, scores in Gallery(images).score_blocks(queries):
        part = slice(start, start + len(scores))
        scores[np.arange(len(scores)), [places[one.query_image_id] for one in triplets[part]]] = -np.inf
        ranks.append(target_ranks(scores, targets[part])[:, 1])
    found = np.concatenate(ranks)
    values = [found_within(found, k) for k in (1, 5, 10)] + [average_precision(found[:, None], 1, 10)]
    return {name: 100.0 * float(value.mean()) for name, value in zip(METRICS, values, strict=True)}


def compare(
    model: FusionModel, triplets: Sequence[Triplet], ids: Sequence[str], features: Features
) -> Mapping[str, dict[str, float]]:
    """Scores of the trained model, of the same model with the text alone, and of the image tower alone."""
    shown, asked = features.of_images(ids), features.of_images([one.query_image_id for one in triplets])
    texts = features.of_texts([one.instruction for one in triplets])
    gallery = encode(model, shown, None)
    return {
        "image and text": score(encode(model, asked, texts), gallery, triplets, ids),
        "text only": score(encode(model, None, texts), gallery, triplets, ids),
        "image only": score(asked, shown, triplets, ids),
    }
