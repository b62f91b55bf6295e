"""Recall and mAP of a model on a dataset's own split, beside controls that see only one half of the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from schemas.protocols import Float32Array
from training.dataset import Triplet
from training.fusion_model import FusionModel
from training.train import Features

METRICS = ("R@1", "R@5", "R@10", "mAP@10")


def embeddings(model: FusionModel, triplets: Sequence[Triplet], features: Features) -> dict[str, Float32Array]:
    """Query embeddings float32 (n, d) of the model and of its text-only control."""
    with torch.inference_mode():
        images = features.of_images([one.query_image_id for one in triplets])
        texts = features.of_texts([one.instruction for one in triplets])
        return {"image and text": model(images, texts).numpy(), "text only": model(None, texts).numpy()}


def gallery(model: FusionModel, ids: Sequence[str], features: Features) -> Float32Array:
    """Gallery embeddings float32 (m, d)."""
    with torch.inference_mode():
        found: Float32Array = model(features.of_images(ids), None).numpy()
    return found


def score(
    queries: Float32Array, images: Float32Array, triplets: Sequence[Triplet], ids: Sequence[str]
) -> dict[str, float]:
    """Percentages: R@1, R@5, R@10, mAP@10. The query image is taken out of the gallery; images that tie with the
    target go before it."""
    places = {image_id: index for index, image_id in enumerate(ids)}
    scores = queries @ images.T
    ranks = []
    for row, one in enumerate(triplets):
        scores[row, places[one.query_image_id]] = -np.inf
        target = scores[row, places[one.target_image_id]]
        ranks.append(int((scores[row] >= target).sum()))
    found = np.array(ranks)
    recalls = {f"R@{k}": 100.0 * float((found <= k).mean()) for k in (1, 5, 10)}
    return recalls | {"mAP@10": 100.0 * float(np.where(found <= 10, 1.0 / found, 0.0).mean())}


def compare(
    model: FusionModel, triplets: Sequence[Triplet], ids: Sequence[str], features: Features
) -> Mapping[str, dict[str, float]]:
    """Scores of the trained model, of the same model with the text alone, and of the image tower alone."""
    images = gallery(model, ids, features)
    results = {
        name: score(queries, images, triplets, ids) for name, queries in embeddings(model, triplets, features).items()
    }
    raw = torch.nn.functional.normalize(features.of_images(ids), dim=-1).numpy()
    own = torch.nn.functional.normalize(features.of_images([one.query_image_id for one in triplets]), dim=-1).numpy()
    results["image only"] = score(own, raw, triplets, ids)
    return results
