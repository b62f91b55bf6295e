"""The two controls: the image alone and the text alone."""

from __future__ import annotations

import numpy.typing as npt

from evaluation.unit_vectors import FloatArray, checked, float_type, unit


def image_only(image: npt.ArrayLike) -> FloatArray:
    """The reference image's feature (d or n × d) as unit vectors, the text ignored. A zero vector stays zero."""
    return unit(checked(image, "image", (1, 2))).astype(float_type(image), copy=False)


def text_only(text: npt.ArrayLike) -> FloatArray:
    """The modification text's feature (d or n × d) as unit vectors, the image ignored. A zero vector stays zero."""
    return unit(checked(text, "text", (1, 2))).astype(float_type(text), copy=False)
