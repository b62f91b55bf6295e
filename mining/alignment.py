"""How well a phrase fits an image: what chooses the right name among those that stand around it.

MOFI (arXiv 2306.07952) takes the entity whose CLIP text embedding is nearest to the image's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mining.similarity import DECIMALS, cosines, sketch_matrix
from mining.sketches import sketches
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array, TextEncoder

if TYPE_CHECKING:
    # The miners import this module.
    from mining.miners.interface import CorpusImage

Float64Array = npt.NDArray[np.float64]

#: Texts whose vectors are kept: a page's title comes back with each of its images.
_KEPT = 20_000


class Alignment(Protocol):
    """Scores of phrases for an image."""

    def scores(self, image: CorpusImage, phrases: Sequence[str]) -> Float64Array:
        """Phrases (n) → float64 (n), cosines rounded to 4 decimals, more is better; 0 where nothing is known."""


class JointAlignment:
    """Cosine of the phrase with the image, where one model has towers for both.

    It is taken between sketches of the vectors, so that no features are read.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._vectors = _Vectors(encoder)

    def scores(self, image: CorpusImage, phrases: Sequence[str]) -> Float64Array:
        """See `Alignment`. Raises ConfigurationError if the text tower is not that of the image model."""
        if not phrases:
            return np.zeros(0, np.float64)
        rows = sketches(self._vectors.of(phrases))
        if rows.shape[1] != len(image.sketch):
            raise ConfigurationError(
                f"the text model's sketches have {rows.shape[1]} numbers and the images' {len(image.sketch)}: set "
                "annotate_images.text_model and image_model to one model, or mine_pairs.entities.alignment to text."
            )
        return cosines(sketch_matrix([row.tobytes() for row in rows]), sketch_matrix([image.sketch]))[:, 0]


class TextAlignment:
    """Cosine of the phrase with the words that are known of the image: its label and caption, and its own text.

    A page's title is no such word: a phrase of the title has to earn its place.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._vectors = _Vectors(encoder)

    def scores(self, image: CorpusImage, phrases: Sequence[str]) -> Float64Array:
        """See `Alignment`."""
        # The vector of the own text came with the image.
        own = None if image.embedding is None else np.asarray(image.embedding, np.float64)
        known = [text for text in (image.label, image.caption, image.text if own is None else None) if text]
        if not phrases or (own is None and not known):
            return np.zeros(len(phrases), np.float64)
        about = np.zeros(0) if own is None else own
        if known:
            said = self._vectors.of(known).astype(np.float64).sum(axis=0)
            about = said if own is None else own + said
        about /= max(float(np.linalg.norm(about)), 1e-12)
        return np.asarray(np.round(self._vectors.of(phrases).astype(np.float64) @ about, DECIMALS), np.float64)


def make_alignment(kind: Literal["text", "joint"], encoder: TextEncoder) -> Alignment:
    """The alignment that the settings name; `joint` takes the text tower of the image model."""
    return JointAlignment(encoder) if kind == "joint" else TextAlignment(encoder)


class _Vectors:
    """A text encoder with a memory of what it was asked last."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._kept: OrderedDict[str, Float32Array] = OrderedDict()

    def of(self, texts: Sequence[str]) -> Float32Array:
        """Texts (n, at least one) → float32 (n, d)."""
        unknown = sorted({text for text in texts if text not in self._kept})
        found = dict(zip(unknown, self._encoder.encode(unknown), strict=True)) if unknown else {}
        rows = []
        for text in texts:
            vector = found[text] if text in found else self._kept[text]
            self._kept[text] = vector
            self._kept.move_to_end(text)
            rows.append(vector)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return np.stack(rows)
