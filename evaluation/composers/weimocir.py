"""Weighted modality fusion with captions of the gallery (WeiMoCIR, arXiv 2409.04918)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from evaluation.unit_vectors import Float64Array, FloatArray, checked, float_type, same_shape, unit, unit_sum

WeimocirForm = Literal["paper", "code"]

#: Gallery rows that are in float64 at a time.
_BLOCK = 8192


@dataclass(frozen=True)
class WeimocirSettings:
    """`alpha` weighs the text in the query, `beta` the captions in the score."""

    alpha: float
    beta: float


#: The paper's weights by the backbone's family; it takes CLIP4Cir's text template and three captions an image.
WEIMOCIR_SETTINGS: Mapping[str, WeimocirSettings] = MappingProxyType(
    {"clip": WeimocirSettings(0.8, 0.1), "blip": WeimocirSettings(0.95, 0.2)}
)


def weimocir(
    image: npt.ArrayLike,
    text: npt.ArrayLike,
    gallery_images: npt.ArrayLike,
    gallery_captions: npt.ArrayLike,
    *,
    alpha: float,
    beta: float,
    form: WeimocirForm = "paper",
    reference_index: npt.ArrayLike | None = None,
) -> FloatArray:
    """Scores of the gallery: `image`, `text` n × d (or d), `gallery_images` m × d, `gallery_captions` m × M × d →
    n × m (or m); float64 where an input is, else float32.

    `paper`: `q = n((1 - alpha) v + alpha w)`, `S_j = (1 - beta) q.g_j + beta mean_m q.c_jm`. `code`, what was
    released: the caption part takes queries of its own, made from the captions of the reference, `q_m = n((1 - alpha)
    c_ref,m + alpha w)` and `mean_m q_m.c_jm`; `reference_index` (n integers, or one) says where in the gallery the
    references stand.

    Queries are combined from the features as they are given: give unit vectors where the weights are to mean what
    they say. Scores are cosines: gallery images and captions are normalised for them. A zero vector adds nothing to a
    query and scores 0 as a gallery image or caption; where image and text cancel, the query is zero and so are its
    scores. Raises ValueError for shapes that do not fit, values that are not finite, a reference outside the gallery,
    and `code` without `reference_index`."""
    precision = float_type(image, text, gallery_images, gallery_captions)
    v, w = checked(image, "image", (1, 2)), checked(text, "text", (1, 2))
    same_shape(image=v, text=w)
    images, captions = np.asarray(gallery_images), np.asarray(gallery_captions)
    if images.ndim != 2 or captions.ndim != 3 or (captions.shape[0], captions.shape[2]) != images.shape:
        raise ValueError(
            f"gallery_images has shape {images.shape} and gallery_captions {captions.shape}; m × d and m × M × d fit."
        )
    if images.shape[1] != v.shape[-1] or captions.shape[1] == 0:
        raise ValueError(
            f"queries have {v.shape[-1]} dimensions, the gallery {images.shape[1]} and {captions.shape[1]} captions an "
            "image; equal dimensions and one caption at least are wanted."
        )
    rows_v, rows_w = np.atleast_2d(v), np.atleast_2d(w)
    queries = unit_sum((1 - alpha, rows_v), (alpha, rows_w), precision=precision)
    if form == "paper":
        caption_queries = queries
    elif form == "code":
        positions = _positions(reference_index, len(rows_v), len(images))
        references = checked(captions[positions], "gallery_captions", (3,))
        caption_queries = unit_sum((1 - alpha, references), (alpha, rows_w[:, None]), precision=precision)
    else:
        raise ValueError(f"form is {form!r}; the forms are 'paper' and 'code'.")
    scores = np.empty((len(rows_v), len(images)), precision)
    for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        block_images = unit(checked(images[block], "gallery_images", (2,)))
        block_captions = unit(checked(captions[block], "gallery_captions", (3,)))
        text_scores = _mean_products(caption_queries, block_captions)
        scores[:, block] = (1 - beta) * (queries @ block_images.T) + beta * text_scores
    return scores if v.ndim == 2 else scores[0]


def _mean_products(queries: Float64Array, captions: Float64Array) -> Float64Array:
    """`queries` n × d, or n × M × d one for each set of captions, and `captions` m × M × d → means over M, n × m."""
    if queries.ndim == 2:
        return queries @ captions.mean(axis=1).T
    return (queries.reshape(len(queries), -1) @ captions.reshape(len(captions), -1).T) / captions.shape[1]


def _positions(reference_index: npt.ArrayLike | None, queries: int, gallery: int) -> npt.NDArray[Any]:
    if reference_index is None:
        raise ValueError("the form 'code' needs reference_index, the references' places in the gallery.")
    positions = np.atleast_1d(np.asarray(reference_index))
    if positions.shape != (queries,) or not np.issubdtype(positions.dtype, np.integer):
        raise ValueError(f"reference_index has shape {positions.shape}; {queries} integers are wanted.")
    if positions.size and not 0 <= positions.min() <= positions.max() < gallery:
        raise ValueError(f"reference_index names a place outside the gallery of {gallery}.")
    return positions
