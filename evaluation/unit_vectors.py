"""Vectors of length one, with the zero vector and cancelling sums defined.

Everything is computed in float64. A function gives float64 back where any of its arrays was float64 (or a list, or
integers), otherwise float32.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.floating[Any]]

#: A sum of vectors that is shorter than its longest summand by this many roundings is noise and counts as zero.
CANCELLATION = 16


def float_type(*arrays: npt.ArrayLike) -> np.dtype[np.floating[Any]]:
    """float32 where every array is float32 or float16, else float64."""
    small = all(np.asarray(array).dtype in (np.float16, np.float32) for array in arrays)
    return np.dtype(np.float32 if small else np.float64)


def checked(array: npt.ArrayLike, name: str, dimensions: tuple[int, ...]) -> Float64Array:
    """The array as float64. Raises ValueError where the number of axes is none of `dimensions`, or a value is NaN or
    infinite; the message names the first such row."""
    result = np.asarray(array, dtype=np.float64)
    if result.ndim not in dimensions:
        wanted = " or ".join(str(one) for one in dimensions)
        raise ValueError(f"{name} has shape {result.shape}; an array of {wanted} axes is wanted.")
    if not np.isfinite(result).all():
        where = tuple(int(axis[0]) for axis in np.nonzero(~np.isfinite(result)))
        raise ValueError(f"{name} holds a value that is NaN or infinite, first at {where}.")
    return result


def same_shape(**arrays: Float64Array) -> None:
    """Raises ValueError where shapes differ; keywords are the names for the message."""
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"shapes differ: {shapes}.")


def lengths(vectors: Float64Array) -> Float64Array:
    """L2 norms over the last axis, which is kept with size one; no square underflows or overflows."""
    if vectors.shape[-1] == 0:
        return np.zeros((*vectors.shape[:-1], 1))
    exponents = _exponents(vectors)
    return np.ldexp(_norms(vectors * np.ldexp(1.0, -exponents)), exponents)


def unit(vectors: Float64Array) -> Float64Array:
    """`vectors` (…, d) over their length; a zero vector stays zero."""
    if vectors.shape[-1] == 0:
        return vectors.copy()
    # A power of two is taken out first: exact, and the squares of tiny or huge values stay in range.
    scaled = vectors * np.ldexp(1.0, -_exponents(vectors))
    norms = _norms(scaled)
    norms[norms == 0] = 1
    scaled /= norms
    return scaled


def unit_sum(
    *summands: tuple[float | Float64Array, Float64Array], precision: np.dtype[np.floating[Any]]
) -> Float64Array:
    """The unit vector along a weighted sum of (weight, vectors (…, d)).

    Where the summands cancel to within `CANCELLATION` roundings of `precision`, the sum is zero: what is left has no
    direction."""
    terms = [np.asarray(weight) * vectors for weight, vectors in summands]
    total = reduce(np.add, terms)
    longest = reduce(np.maximum, (lengths(term) for term in terms))
    noise = lengths(total) <= CANCELLATION * float(np.finfo(precision).eps) * longest
    return unit(np.where(noise, 0.0, total))


def _exponents(vectors: Float64Array) -> npt.NDArray[np.intc]:
    """Powers of two near each vector's largest value, such that 2 to their negative is a number too."""
    largest = np.maximum(vectors.max(axis=-1, keepdims=True), -vectors.min(axis=-1, keepdims=True))
    return np.clip(np.frexp(largest)[1], -1000, 1000)


def _norms(vectors: Float64Array) -> Float64Array:
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
