"""How well a text fits its image: a similarity, and its level among the corpus (NoC, arXiv 2212.13563).

NoC hands a captioner the level as a control signal; here it stands beside captions and alt texts, so that users can
filter by it, and it chooses among several captions of one image. Levels are buckets of quantiles: they compare texts
of one corpus under one scorer and mean nothing across scorers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from schemas.protocols import Float32Array, TextEncoder
from synthesis.words import one_line

Float64Array = npt.NDArray[np.float64]

#: Similarities are rounded before they are compared: the last bits differ between machines.
_DECIMALS = 4


@dataclass(frozen=True)
class ImageFeatures:
    """What annotation knows of an image: features float32 (d), its likeliest label and the label's probability 0…1."""

    features: Float32Array
    label: str | None = None
    label_score: float | None = None


@runtime_checkable
class AlignmentScorer(Protocol):
    """Images and texts to similarities."""

    name: str

    def similarities(self, images: Sequence[ImageFeatures], texts: Sequence[str | None]) -> list[float | None]:
        """Of each image (n) with the text at its place (n): at most 1, higher is closer, rounded to 4 decimals; None
        where there is nothing to compare. Raises ValueError for lists of unequal length."""


class SharedSpace:
    """For models whose images and texts have one space (CLIP, SigLIP): the cosine of the two embeddings."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.name = f"cosine of {encoder.name}"
        self._encoder = encoder

    def similarities(self, images: Sequence[ImageFeatures], texts: Sequence[str | None]) -> list[float | None]:
        """See `AlignmentScorer`. None without a text or for features of zeros; ValueError for features of another
        length than the texts' embeddings: they are of another model."""
        lines = _lines(images, texts)
        for image in images:
            if image.features.shape != (self._encoder.dimension,):
                raise ValueError(
                    f"image features of shape {image.features.shape} and texts of {self._encoder.dimension} dimensions "
                    f"share no space: name one CLIP-like model for both, not {self._encoder.name} alone."
                )
        asked = [index for index, line in enumerate(lines) if line and images[index].features.any()]
        found: list[float | None] = [None] * len(lines)
        if asked:
            left = np.stack([images[index].features for index in asked])
            right = self._encoder.encode([lines[index] for index in asked])
            for index, value in zip(asked, cosines(left, right), strict=True):
                found[index] = round(float(value), _DECIMALS)
        return found


class LabelScorer:
    """For models without a shared space (EfficientNet-lite0 with MiniLM): the cosine of the text with "a photo of
    LABEL" in the space of sentences, times the label's probability.

    Weak: it sees of the image only what its classifier has a name for, one of 1,000 classes, so that a right text about
    anything else in the image scores low. Good to sort out texts about other things, not to rank good ones.
    """

    def __init__(self, encoder: TextEncoder, label_score_min: float = 0.3) -> None:
        self.name = f"label in {encoder.name}"
        self._encoder, self._least = encoder, label_score_min

    def similarities(self, images: Sequence[ImageFeatures], texts: Sequence[str | None]) -> list[float | None]:
        """See `AlignmentScorer`. None without a text, or without a label of at least `label_score_min`."""
        lines = _lines(images, texts)
        labels = [f"a photo of {image.label}" if self._sure(image) else "" for image in images]
        asked = [index for index in range(len(lines)) if lines[index] and labels[index]]
        found: list[float | None] = [None] * len(lines)
        if asked:
            # Few labels, many images.
            distinct = sorted({labels[index] for index in asked})
            place = {label: index for index, label in enumerate(distinct)}
            left = self._encoder.encode(distinct)[[place[labels[index]] for index in asked]]
            right = self._encoder.encode([lines[index] for index in asked])
            for index, value in zip(asked, cosines(left, right), strict=True):
                found[index] = round(float(value) * float(images[index].label_score or 0.0), _DECIMALS)
        return found

    def _sure(self, image: ImageFeatures) -> bool:
        return bool(image.label) and (image.label_score or 0.0) >= self._least


def cosines(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> Float64Array:
    """Cosines of rows with rows: (n, d) or (1, d), and (n, d) → float64 (n), -1…1; 0 where a row is zeros."""
    one, other = left.astype(np.float64), right.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: Float64Array = np.clip((one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return found


def quantile_edges(similarities: Sequence[float | None], levels: int) -> tuple[float, ...]:
    """The `levels` - 1 rising edges that part a sample of the corpus into levels of about equal size, whatever its
    order; None is left out.

    Equal similarities share a level, so that some edges may be equal and levels between them empty. Raises ValueError
    for fewer than two levels or a sample of nothing.
    """
    known = np.sort(np.array([one for one in similarities if one is not None], np.float64))
    if levels < 2 or not known.size:
        raise ValueError(f"{levels} levels of {known.size} similarities: two and one are wanted at least.")
    shares = np.arange(1, levels) / levels
    return tuple(round(float(edge), _DECIMALS) for edge in np.quantile(known, shares))


def level(similarity: float | None, edges: Sequence[float]) -> int | None:
    """The alignment level, 0 (worst) … len(edges): how many of the rising edges a similarity reaches. None for None."""
    return None if similarity is None else bisect_right(edges, round(similarity, _DECIMALS))


def best_first(captions: Sequence[str], similarities: Sequence[float | None]) -> tuple[str, ...]:
    """Captions of one image by their similarity with it, unknown ones last, ties in the given order: the first of them
    is the best of n."""
    known = [-np.inf if one is None else round(one, _DECIMALS) for one in similarities]
    order = sorted(zip(known, captions, strict=True), key=lambda one: -one[0])
    return tuple(caption for _, caption in order)


def _lines(images: Sequence[ImageFeatures], texts: Sequence[str | None]) -> list[str]:
    if len(images) != len(texts):
        raise ValueError(f"{len(images)} images and {len(texts)} texts: as many of both are wanted.")
    return [one_line(text or "") for text in texts]
