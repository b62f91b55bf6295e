"""The score columns of pairs, as a configuration asks for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mining.scores.alignment import TextedImage, alignments
from mining.scores.scene_graphs import text_agreement
from mining.scores.things import ThingCounts, pmi, things
from mining.sketches import sketches
from schemas.protocols import Float32Array, TextEncoder

Row = Mapping[str, Any]


def text_scores(row: Row, wanted: Collection[str], counts: ThingCounts | None) -> dict[str, float | None]:
    """Scores of the two texts of a pair: `agreement`, and `thing_pmi` with the `counts` of the corpus."""
    scores: dict[str, float | None] = {}
    first, second = row["query_text"], row["target_text"]
    if "agreement" in wanted:
        scores["agreement"] = text_agreement(first, second) if first and second else None
    if "thing_pmi" in wanted and counts is not None:
        alone = row["target_page_id"] is None
        scores["thing_pmi"] = pmi(things(first), things(second), counts, same_page=alone)
    return scores


def hub_scores(row: Row, occurrences: Mapping[str, int]) -> dict[str, int]:
    """In how many lists of neighbours each image of a pair stands; an image in none is not in `occurrences`."""
    return {f"{side}_hubness": occurrences.get(row[f"{side}_image_id"], 0) for side in ("query", "target")}


def alignment_scores(
    rows: Sequence[Row],
    looks: Mapping[str, bytes] | None,
    encoder: TextEncoder,
    captions: Mapping[str, str] | None = None,
) -> list[dict[str, float | None]]:
    """For each pair the alignment of its images with their own texts. `looks`: image id → sketch, where images and
    texts lie in one space, so that sketches of both can be compared; None where `captions` (image id → what a model
    says the image shows), else labels, speak for images."""
    keys = sorted({_image_key(row, side) for row in rows for side in ("query", "target")}, key=str)
    sketched: dict[str, Float32Array] = {}
    if looks is not None:
        texts = sorted({text for _, text, _ in keys if text})
        sketched = dict(zip(texts, sketches(encoder.encode(texts)).astype(np.float32), strict=True)) if texts else {}
    images = []
    for image_id, text, label in keys:
        look = None if looks is None else np.frombuffer(looks[image_id], np.int8).astype(np.float32)
        # A label stands in a pair only where it is sure.
        caption = captions.get(image_id) if captions else None
        images.append(TextedImage(text, label, 1.0, caption, features=look, embedding=sketched.get(text or "")))
    found = dict(zip(keys, alignments(images, encoder, looks is not None), strict=True))
    return [{f"{side}_alignment": found[_image_key(row, side)] for side in ("query", "target")} for row in rows]


def _image_key(row: Row, side: str) -> tuple[str, str | None, str | None]:
    return row[f"{side}_image_id"], row[f"{side}_text"], row[f"{side}_label"]
