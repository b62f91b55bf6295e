"""Spherical interpolation from image to text (Jang et al., ECCV 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from evaluation.unit_vectors import FloatArray, checked, float_type, same_shape, unit, unit_sum

#: Above this |cosine| the interpolation is linear: the sine of the angle is too small to divide by.
LINEAR_ABOVE = 0.9995

#: The paper's weights of the text; it takes the text as it is, without a template.
SLERP_ALPHA: Mapping[str, float] = MappingProxyType({"cirr": 0.9, "circo": 0.8, "fashioniq": 0.8})


def slerp(image: npt.ArrayLike, text: npt.ArrayLike, alpha: float) -> FloatArray:
    """The point at the share `alpha` (weight of the text) of the great circle from image to text.

    With v, w the unit vectors and theta = arccos(v.w): `sin((1 - alpha) theta) / sin(theta) v + sin(alpha theta) /
    sin(theta) w`, normalised; where |v.w| > 0.9995, `v + alpha (w - v)`, normalised.

    `image` and `text` have one shape, d or n × d; the result has it too: unit vectors, float64 where an input is.
    Parallel inputs (also those whose product rounds to more than 1) give their direction. Opposite ones have no great
    circle of their own and take the linear branch: the direction of the heavier, and at `alpha` 0.5 the zero vector.
    A zero vector counts as perpendicular to everything and adds nothing: the result is the other's direction, zero
    where the other is zero or has no weight. Raises ValueError for unequal shapes and for values that are not
    finite."""
    precision = float_type(image, text)
    v, w = checked(image, "image", (1, 2)), checked(text, "text", (1, 2))
    same_shape(image=v, text=w)
    v, w = unit(v), unit(w)
    cosine = np.einsum("...i,...i->...", v, w)[..., None]
    linear = np.abs(cosine) > LINEAR_ABOVE
    theta = np.arccos(np.where(linear, 0.0, cosine))
    image_weight = np.where(linear, 1 - alpha, np.sin((1 - alpha) * theta) / np.sin(theta))
    text_weight = np.where(linear, alpha, np.sin(alpha * theta) / np.sin(theta))
    return unit_sum((image_weight, v), (text_weight, w), precision=precision).astype(precision, copy=False)
