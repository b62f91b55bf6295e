"""What is written about the images of triplets, with how well each text fits its image: rows of `captions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from schemas.outcomes import Outcomes
from schemas.protocols import Float32Array, TextEncoder
from synthesis.alignment import ImageFeatures, LabelScorer, cosines, level
from synthesis.verification.pages import Project
from synthesis.verification.ranks import PageImages

_DECIMALS = 4
_NOTHING = np.zeros(0, np.float32)


def write_captions(
    triplets: Iterable[Mapping[str, Any]],
    written: Mapping[str, Sequence[Mapping[str, Any]]],
    images: PageImages,
    encoder: TextEncoder,
    project: Project | None,
    edges: Sequence[float],
    outcomes: Outcomes,
) -> None:
    """For each image of a page's triplets, by id, its text on the page and the captions that models wrote (`written`,
    rows of `written_captions` by image).

    Alignment: where texts and images have one space (`project`) the cosine of the text's embedding with the image's
    sketch; otherwise the cosine of the text with "a photo of LABEL", null for images without a sure label.
    """
    known: dict[str, dict[str, Any]] = {}
    for triplet in triplets:
        for side in ("query", "target"):
            one = {"text": triplet.get(f"{side}_text"), "label": triplet.get(f"{side}_label")}
            known.setdefault(triplet[f"{side}_image_id"], {"page_id": triplet["page_id"], **one})
    rows = []
    for image_id in sorted(known):
        place = {"page_id": known[image_id]["page_id"], "image_id": image_id}
        if known[image_id]["text"]:
            rows.append({**place, "kind": "page", "text": known[image_id]["text"]})
        rows += [
            {**place, "kind": "written", **{name: one[name] for name in ("text", "method", "model", "prompt")}}
            for one in written.get(image_id, ())
        ]
    texts = [row["text"] for row in rows]
    names = [row["image_id"] for row in rows]
    found = (
        _by_label([known[name]["label"] for name in names], texts, encoder)
        if project is None
        else _by_sketch(images.sketches[[images.ids.index(name) for name in names]], texts, encoder, project)
    )
    for row, alignment in zip(rows, found, strict=True):
        outcomes.row("captions", {**row, "alignment": alignment, "alignment_level": level(alignment, edges)})


def _by_label(labels: Sequence[str | None], texts: Sequence[str], encoder: TextEncoder) -> Sequence[float | None]:
    # Rows tell a label only where the classifier was sure of it, and not how sure.
    images = [ImageFeatures(_NOTHING, label, 1.0) for label in labels]
    return LabelScorer(encoder).similarities(images, texts)


def _by_sketch(
    sketches: Float32Array, texts: Sequence[str], encoder: TextEncoder, project: Project
) -> Sequence[float | None]:
    if not texts:
        return []
    vectors = project(encoder.encode(texts)).astype(np.float32)
    values = cosines(sketches, vectors)
    return [
        round(float(value), _DECIMALS) if sketch.any() else None for value, sketch in zip(values, sketches, strict=True)
    ]
