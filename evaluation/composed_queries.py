"""Queries of a benchmark made by a training-free composer from the halves that an embeddings file holds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from evaluation.composers import PDV_SETTINGS, SLERP_ALPHA, WEIMOCIR_SETTINGS, pdv, slerp, text_only, weighted_sum
from evaluation.composers import image_only as image_alone
from evaluation.embeddings import CONTROLS, EXTRAS, Embeddings
from evaluation.ranking import Similarity
from evaluation.unit_vectors import FloatArray, unit
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

#: The composers by the weights that each takes.
COMPOSERS: dict[str, tuple[str, ...]] = {
    "image-only": (),
    "text-only": (),
    "weighted-sum": ("alpha",),
    "slerp": ("alpha",),
    "pdv": ("alpha", "alpha_image", "beta"),
    "weimocir": ("alpha", "beta"),
}
_TEXT, _IMAGE = CONTROLS
_REFERENCE_TEXT, _CAPTIONS = EXTRAS
_BLOCK = 8192


@dataclass(frozen=True)
class Weights:
    """`alpha` weighs the text (for PDV it is the text side's step, `alpha_image` the image side's), `beta` the text
    side of PDV and the captions of WeiMoCIR."""

    alpha: float | None = None
    alpha_image: float | None = None
    beta: float | None = None


def published_weights(composer: str, benchmark: str) -> Weights:
    """The paper's weights for a benchmark, or its most common ones. Raises ConfigurationError for other names."""
    if composer not in COMPOSERS:
        raise ConfigurationError(f"there is no composer {composer!r}: there are {', '.join(COMPOSERS)}.")
    if composer == "weighted-sum":
        return Weights(alpha=0.5)
    if composer == "slerp":
        return Weights(alpha=SLERP_ALPHA.get(benchmark, 0.8))
    if composer == "pdv":
        fashion = ("cirevl", "fashioniq", "L/14")
        chosen = PDV_SETTINGS[fashion if benchmark == "fashioniq" else ("cirevl", "cirr", "*")]
        return Weights(chosen.alpha_text, chosen.alpha_image, chosen.beta)
    if composer == "weimocir":
        return Weights(alpha=WEIMOCIR_SETTINGS["clip"].alpha, beta=WEIMOCIR_SETTINGS["clip"].beta)
    return Weights()


def weights_of(composer: str, benchmark: str, asked: Weights) -> Weights:
    """The published weights with those that were asked for in their place. Raises ConfigurationError for a weight that
    the composer does not take."""
    published = published_weights(composer, benchmark)
    given = {one.name: getattr(asked, one.name) for one in fields(asked) if getattr(asked, one.name) is not None}
    odd = [f"--{name.replace('_', '-')}" for name in given if name not in COMPOSERS[composer]]
    if odd:
        raise ConfigurationError(f"the composer {composer} takes no {', '.join(odd)}.")
    return replace(published, **given)


def composition_words(composer: str, weights: Weights) -> str:
    """The composer and its weights in words."""
    told = [f"{name} {getattr(weights, name):g}" for name in COMPOSERS[composer]]
    return " ".join([composer, *told])


def compose(
    embeddings: Embeddings, composer: str, weights: Weights, similarity: Similarity | None
) -> tuple[Embeddings, Similarity | None]:
    """The embeddings with composed queries, and the similarity to rank by.

    WeiMoCIR's score is that of its paper, `(1 - b) q.g + b mean q.c`: an inner product with `(1 - b) g + b mean c`,
    which takes the place of the gallery. Raises ConfigurationError for arrays that the composer needs and the file
    does not hold."""
    halves = {"image": "image only", "text": "text only"}
    wanted = [half for half in halves if composer != ("text-only" if half == "image" else "image-only")]
    missing = [_IMAGE if half == "image" else _TEXT for half in wanted if halves[half] not in embeddings.controls]
    missing += [_REFERENCE_TEXT] if composer == "pdv" and _REFERENCE_TEXT not in embeddings.extras else []
    missing += [_CAPTIONS] if composer == "weimocir" and _CAPTIONS not in embeddings.extras else []
    if missing:
        raise ConfigurationError(f"the composer {composer} needs the array {' and '.join(missing)} in the file.")
    image, text = embeddings.controls.get("image only"), embeddings.controls.get("text only")
    queries = _queries(composer, weights, image, text, embeddings.extras.get(_REFERENCE_TEXT))
    found = replace(embeddings, queries=np.asarray(queries, np.float32))
    if composer != "weimocir":
        return found, similarity
    if similarity == "cosine":
        raise ConfigurationError("WeiMoCIR has a score of its own: leave out --similarity.")
    assert weights.beta is not None
    gallery = _with_captions(embeddings.gallery, embeddings.extras[_CAPTIONS], weights.beta)
    return replace(found, gallery=gallery), "dot"


def _queries(
    composer: str,
    weights: Weights,
    image: Float32Array | None,
    text: Float32Array | None,
    reference_text: Float32Array | None,
) -> FloatArray:
    if composer == "text-only":
        assert text is not None
        return text_only(text)
    assert image is not None
    if composer == "image-only":
        return image_alone(image)
    assert text is not None
    assert weights.alpha is not None
    if composer == "slerp":
        return slerp(image, text, weights.alpha)
    if composer == "pdv":
        assert reference_text is not None
        assert weights.alpha_image is not None
        assert weights.beta is not None
        return pdv(
            image,
            reference_text,
            text,
            alpha_text=weights.alpha,
            alpha_image=weights.alpha_image,
            beta=weights.beta,
        )
    return weighted_sum(image, text, weights.alpha)


def _with_captions(gallery: Float32Array, captions: Float32Array, beta: float) -> Float32Array:
    if captions.shape[2] != gallery.shape[1] or not captions.shape[1]:
        raise ConfigurationError(
            f"{_CAPTIONS} has the shape {captions.shape}: images × captions × {gallery.shape[1]} are wanted."
        )
    found = np.empty(gallery.shape, np.float32)
    for start in range(0, len(gallery), _BLOCK):
        block = slice(start, start + _BLOCK)
        images, texts = unit(gallery[block].astype(np.float64)), unit(captions[block].astype(np.float64))
        found[block] = (1 - beta) * images + beta * texts.mean(axis=1)
    return found
