"""The local towers' faster way to features: the encoders of annotation, over onnxruntime, handed to the trainer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console

from lensmith.image_features import image_features
from mining.annotation import AnnotateConfig, load_models
from training.surroundings import Surroundings
from training.towers.load_towers import LOCAL_IMAGES, LOCAL_TEXTS


def surroundings(say: Callable[[str], None], console: Console | None = None) -> Surroundings:
    """What the commands give a training: local towers run over onnxruntime where they are frozen."""
    config = AnnotateConfig(safety_model=None)

    def of_images(files: list[tuple[str, bytes]]) -> torch.Tensor:
        features = image_features(files, config)
        return torch.from_numpy(np.stack([features[name] for name, _ in files]))

    def of_texts(texts: list[str]) -> torch.Tensor:
        return torch.from_numpy(load_models(config).texts.encode(texts))

    return Surroundings(say, {LOCAL_IMAGES: of_images}, {LOCAL_TEXTS: of_texts}, console=console)
