"""Embeddings of images by the model as it stands when a stage begins: they are made once and then stand still."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from training.data.feature_store import FeatureStore, make_features
from training.embedding import embed
from training.items import Item
from training.objectives.interface import StageStart
from training.towers.interface import Features, TowerShape

#: Images after which progress is said.
_TOLD = 4096


def static_embeddings(start: StageStart, numbers: npt.NDArray[np.int64]) -> FeatureStore:
    """Embeddings of images as targets (with the empty text), by their place in `numbers`; there is at least one.

    They lie in the stage's folder, where the first process makes them, and other processes and a resumed stage find
    them. Raises ConfigurationError where the folder cannot be written.
    """

    def of(places: range) -> Features:
        items = [Item(int(one)) for one in numbers[places.start : places.stop]]
        return {"pooled": torch.from_numpy(embed(start.retriever, items, start.sources))}

    def tell(done: int, count: int) -> None:
        if done == count or done % _TOLD == 0:
            start.say(f"embeddings of {done} of {count} images, as the stage begins")

    return make_features(start.folder, len(numbers), TowerShape(start.retriever.width), of, tell)
