"""One short vector for each row, from features of its two images or of its text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

#: Numbers that are kept of each image, and of each text twice as many: a million rows take 512 MB.
WIDTH = 64
_BATCH = 8192


def projected(features: npt.NDArray[np.generic], width: int = WIDTH, seed: int = 0) -> Float32Array:
    """Features (n, d) → float32 (n, min(d, width)) of unit length, cosines nearly kept (a Gaussian projection: Johnson
    and Lindenstrauss 1984). Rows of zeros, or not finite, give zeros."""
    dimension = features.shape[1]
    matrix = np.random.default_rng([seed, dimension]).standard_normal((dimension, width)).astype(np.float32)
    result = np.zeros((len(features), min(dimension, width)), np.float32)
    for start in range(0, len(features), _BATCH):
        part = features[start : start + _BATCH].astype(np.float32)
        part[~np.isfinite(part).all(axis=1)] = 0
        result[start : start + _BATCH] = _unit(part @ matrix if dimension > width else part)
    return result


def pair_vectors(rows: pa.Table, image_ids: Sequence[str] | pa.Array, vectors: Float32Array) -> Float32Array:
    """The vectors of each row's query and target side by side, float32 (n, 2 d), unit length: rows are alike where
    both of their images are. `vectors` (m, d) belong to `image_ids`. Raises ConfigurationError for an image without
    one."""
    known = image_ids if isinstance(image_ids, pa.Array) else pa.array(image_ids, pa.string())
    sides = []
    for name in ("query_image_id", "target_image_id"):
        places = pc.index_in(rows[name], value_set=known)
        if places.null_count:
            lost = rows[name].filter(places.is_null())[0].as_py()
            raise ConfigurationError(
                f"there are no features of the image {lost}: give features of every image that a triplet names."
            )
        sides.append(np.asarray(places, np.int64))
    result = np.empty((rows.num_rows, 2 * vectors.shape[1]), np.float32)
    for start in range(0, rows.num_rows, _BATCH):
        stop = start + _BATCH
        result[start:stop] = _unit(np.concatenate([vectors[side[start:stop]] for side in sides], axis=1))
    return result


def _unit(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
