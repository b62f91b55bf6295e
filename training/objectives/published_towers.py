"""Vectors of the towers that a model was built of, as they were published, whatever was trained since."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from training.data.feature_store import make_features
from training.data.image_store import picture
from training.data.string_table import StringTable
from training.models.two_towers import TwoTowers
from training.objectives.interface import StageStart
from training.towers.interface import Features, ImageTower, TextTower
from training.towers.load_towers import load_image_tower, load_text_tower

#: Images that go through a tower at once.
_BATCH = 32
_TOLD = 4096


def published_towers(model: TwoTowers) -> tuple[ImageTower, TextTower]:
    """The towers of a model from their source. Raises ConfigurationError where it cannot be found."""
    name = model.config.image_tower
    return load_image_tower(name).eval(), load_text_tower(model.config.text_tower or name).eval()


def published_vectors(
    towers: tuple[ImageTower, TextTower], start: StageStart, texts: StringTable
) -> tuple[Callable[[npt.NDArray[np.int64]], torch.Tensor], Callable[[range], torch.Tensor]]:
    """Vectors float32 (n, width) of images by number, and of texts by theirs; the texts' are kept in the stage's
    folder."""
    image_tower, text_tower = towers
    images = start.sources.images

    def of_images(numbers: npt.NDArray[np.int64]) -> torch.Tensor:
        parts = []
        with torch.inference_mode():
            for begin in range(0, len(numbers), _BATCH):
                some = [int(one) for one in numbers[begin : begin + _BATCH]]
                shown = [picture(images.file(one), images.describe(one)) for one in some]
                parts.append(image_tower(image_tower.prepare(shown))["pooled"].float())
        return torch.cat(parts)

    def of(numbers: range) -> Features:
        found: Features = text_tower(text_tower.prepare(texts[numbers.start : numbers.stop]))
        return found

    def tell(done: int, count: int) -> None:
        if done == count or done % _TOLD == 0:
            start.say(f"vectors of {done} of {count} texts, by the published towers")

    store = make_features(start.folder / "text-vectors", len(texts), text_tower.shape, of, tell)
    return of_images, lambda numbers: store.pooled(list(numbers))
