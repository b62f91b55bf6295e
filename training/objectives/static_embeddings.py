"""Embeddings of images and texts by the model as it stands when a stage begins: made once, they then stand still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.data.feature_store import FeatureStore, make_features
from training.embedding import embed
from training.items import Item
from training.objectives.interface import StageStart
from training.towers.interface import Features, TowerShape

#: Items after which progress is said.
_TOLD = 4096


def static_embeddings(start: StageStart, numbers: npt.NDArray[np.int64]) -> FeatureStore:
    """Embeddings of images as targets (with the empty text), by their place in `numbers`; there is at least one.

    They lie in the stage's folder, where the first process makes them, and other processes and a resumed stage find
    them. Raises ConfigurationError where the folder cannot be written.
    """

    def items(places: range) -> list[Item]:
        return [Item(int(one)) for one in numbers[places.start : places.stop]]

    return static_vectors(start, start.folder, len(numbers), items, "images")


def static_vectors(
    start: StageStart, folder: Path, count: int, items: Callable[[range], list[Item]], what: str
) -> FeatureStore:
    """Embeddings of `count` items, of which `items` gives those at some places, kept in `folder`; `what` names them in
    what is said."""

    def of(places: range) -> Features:
        return {"pooled": torch.from_numpy(embed(start.retriever, items(places), start.sources))}

    def tell(done: int, total: int) -> None:
        if done == total or done % _TOLD == 0:
            start.say(f"embeddings of {done} of {total} {what}, as the stage begins")

    return make_features(folder, count, TowerShape(start.retriever.width), of, tell)
