"""Alignment of an image with its own text: does the text say what the image shows?

Where images and texts were encoded by the towers of one CLIP-like model (preset `hub`), it is the cosine of the two
vectors (CLIPScore, Hessel et al. 2021, without its factor). The models of `local` share no space: there it is the
cosine of two sentence embeddings, of the text and of what a model says the image shows, its caption or else its label
if it is sure. The two scales differ, so that a threshold belongs to one preset. None where one side is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from schemas.protocols import Float32Array, ImageEncoder, TextEncoder

DECIMALS = 4
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class TextedImage:
    """An image with its own text. `features` are the image's and `embedding` the text's vector, or None where they are
    not known; `label` is the classifier's word with its score, `caption` the captioner's sentence."""

    text: str | None = None
    label: str | None = None
    label_score: float | None = None
    caption: str | None = None
    features: Float32Array | None = field(default=None, compare=False)
    embedding: Float32Array | None = field(default=None, compare=False)


def share_a_space(images: ImageEncoder, texts: TextEncoder) -> bool:
    """Whether vectors of both models may be compared: the towers of one checkpoint."""
    same = (images.name, images.revision) == (texts.name, texts.revision)
    return same and images.dimension == texts.dimension


def shown(image: TextedImage, label_score_min: float) -> str | None:
    """What a model says the image shows: its caption, else its label if it is that sure ("tabby, tabby cat" gives
    "tabby"); None if no model says anything."""
    if image.caption and image.caption.strip():
        return image.caption.strip()
    if image.label and (image.label_score or 0.0) >= label_score_min:
        return image.label.partition(",")[0].replace("_", " ").strip() or None
    return None


def alignments(
    images: Sequence[TextedImage], texts: TextEncoder, joint: bool, label_score_min: float = 0.3
) -> list[float | None]:
    """Alignment of each image with its text, in [-1, 1], rounded to 4 decimals; None where it is not known.

    `joint`: `features` and `embedding` lie in one space (`share_a_space`). Otherwise what the images show is embedded
    by `texts`, each distinct sentence once, and so are texts whose `embedding` is missing. Raises ValueError on vectors
    of different length.
    """
    if joint:
        return [cosine(one.features, one.embedding) for one in images]
    said = [shown(one, label_score_min) if one.text or one.embedding is not None else None for one in images]
    lacking = {one.text for one, sentence in zip(images, said, strict=True) if sentence and one.embedding is None}
    vectors = _embedded({sentence for sentence in said if sentence} | {text for text in lacking if text}, texts)
    return [
        cosine(vectors[sentence], one.embedding if one.embedding is not None else vectors[one.text or ""])
        if sentence
        else None
        for one, sentence in zip(images, said, strict=True)
    ]


def cosine(first: Float32Array | None, second: Float32Array | None) -> float | None:
    """Cosine of two vectors (d), computed in float64 and rounded to 4 decimals; None if one is missing, all zeros or
    not finite. Raises ValueError on different lengths."""
    if first is None or second is None:
        return None
    one, other = first.astype(np.float64), second.astype(np.float64)
    if one.shape != other.shape:
        raise ValueError(f"vectors of {one.shape} and {other.shape} numbers lie in no common space")
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not np.isfinite(lengths) or lengths == 0.0:
        return None
    return round(max(-1.0, min(1.0, float(one @ other) / lengths)), DECIMALS)


def _embedded(sentences: set[str], texts: TextEncoder) -> dict[str, Float32Array]:
    ordered = sorted(sentences)
    vectors: dict[str, Float32Array] = {}
    for start in range(0, len(ordered), _TEXTS_AT_ONCE):
        part = ordered[start : start + _TEXTS_AT_ONCE]
        vectors.update(zip(part, texts.encode(part), strict=True))
    return vectors
