"""Features of image files as annotation makes them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from mining.annotation import AnnotateConfig, load_models
from mining.decoding import UndecodableError, decode, square
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

_BATCH = 16


def image_features(images: Iterable[tuple[str, bytes]], config: AnnotateConfig) -> dict[str, Float32Array]:
    """Features of images by id, as annotation makes them. Undecodable ones raise ConfigurationError."""
    encoder = load_models(config).images
    found: dict[str, Float32Array] = {}
    remaining = iter(images)
    while batch := list(islice(remaining, _BATCH)):
        crops = []
        for image_id, data in batch:
            try:
                crops.append(square(decode(data, config.max_pixels).picture, encoder.resize, encoder.crop))
            except UndecodableError as error:
                raise ConfigurationError(f"the image {image_id} cannot be decoded: {error}.") from error
        features, _, _ = encoder.encode(np.stack(crops))
        found |= {image_id: row for (image_id, _), row in zip(batch, features, strict=True)}
    return found
