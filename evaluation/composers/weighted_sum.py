"""A weighted sum of the two features."""

from __future__ import annotations

import numpy.typing as npt

from evaluation.unit_vectors import FloatArray, checked, float_type, same_shape, unit, unit_sum


def weighted_sum(image: npt.ArrayLike, text: npt.ArrayLike, alpha: float) -> FloatArray:
    """`n((1 - alpha) n(image) + alpha n(text))`, n the L2 normalisation; `alpha` weighs the text.

    Both are normalised first, as in Pic2Word's mixture. CLIP4Cir's sum and GeneCIS's average add features as they
    are extracted, which gives other queries wherever the two lengths differ.

    `image` and `text` have one shape, d or n × d; the result has it too: unit vectors, float64 where an input is.
    Parallel inputs give their direction. Opposite ones give the direction of the heavier, and at `alpha` 0.5 the zero
    vector. A zero vector adds nothing: the result is the other's direction, zero where the other is zero or has no
    weight. Raises ValueError for unequal shapes and for values that are not finite."""
    precision = float_type(image, text)
    v, w = checked(image, "image", (1, 2)), checked(text, "text", (1, 2))
    same_shape(image=v, text=w)
    return unit_sum((1 - alpha, unit(v)), (alpha, unit(w)), precision=precision).astype(precision, copy=False)
