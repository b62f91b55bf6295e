"""Models that embed a gallery for queries of another model: an image tower, or a model of Lensmith."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.protocols import Float32Array
from training.data.feature_store import FeatureStore, make_features
from training.data.image_store import ImageStore
from training.data.sources import Sources
from training.data.towers_features import image_features
from training.embedding import embed
from training.items import Item
from training.model_sources import still_sources
from training.models.interface import Retriever
from training.models.make import DESCRIPTION, from_pretrained
from training.objectives.config import ObjectivesConfig
from training.objectives.interface import Objective
from training.surroundings import Surroundings
from training.towers.interface import Features, ImageTower, TowerShape
from training.towers.load_towers import load_image_tower

_TOLD = 1024


def load_teacher(source: str) -> Retriever | ImageTower:
    """The model of Lensmith in a folder, or the image tower of this name or in this folder, in evaluation mode.

    Raises ConfigurationError for one that cannot be found.
    """
    if (Path(source) / DESCRIPTION).is_file():
        return from_pretrained(source)
    return load_image_tower(source).eval()


def teacher_width(teacher: Retriever | ImageTower) -> int:
    """Numbers of its vectors."""
    return teacher.width if isinstance(teacher, Retriever) else teacher.shape.width


def teacher_features(
    teacher: Retriever | ImageTower, images: ImageStore, work: Path, key: str, around: Surroundings
) -> FeatureStore:
    """Vectors of all images of a store, kept in `work`; `key` tells its content from others. A tower's are as it gives
    them, a model's are of unit length."""
    if isinstance(teacher, ImageTower):
        return image_features(teacher, images, work, key, around.say, around.image_encoders)
    weights = digest("weights", *(f"{name} {one.double().sum().item()!r}" for name, one in _weights(teacher)))
    sources = still_sources(teacher, images, (), work, digest("teacher", key, weights), around)

    def of(numbers: range) -> Features:
        return {"pooled": torch.from_numpy(embed(teacher, [Item(one) for one in numbers], sources))}

    def tell(done: int, count: int) -> None:
        if done == count or done % _TOLD == 0:
            around.say(f"gallery vectors of {done} of {count} images")

    folder = work / f"gallery-vectors-{digest('gallery', key, weights)[:16]}"
    return make_features(folder, len(images), TowerShape(teacher.width), of, tell)


def _weights(teacher: Retriever) -> Iterable[tuple[str, torch.Tensor]]:
    return sorted(teacher.state_dict().items())


def check_teachers(stages: Iterable[ObjectivesConfig], width: int) -> None:
    """Raise ConfigurationError where a teacher of a stage cannot be found, or gives vectors of another width than the
    model's embeddings."""
    named = dict.fromkeys(one.distillation.teacher for one in stages if one.distillation is not None)
    for name in named:
        _check_width(name, load_teacher(name), width)


def _check_width(name: str, teacher: Retriever | ImageTower, width: int) -> None:
    own = teacher_width(teacher)
    if own != width:
        raise ConfigurationError(
            f"the teacher {name!r} gives vectors of {own} numbers and the model of {width}: set model.width to {own}."
        )


def load_gallery_model(source: str, width: int) -> Retriever | ImageTower:
    """A model that embeds a gallery for queries of `width` numbers. Raises ConfigurationError where it cannot."""
    teacher = load_teacher(source)
    own = teacher_width(teacher)
    if own != width:
        raise ConfigurationError(
            f"the gallery model {source!r} gives vectors of {own} numbers, and the queries have {width}: name the "
            "teacher that the model was distilled from."
        )
    return teacher


def gallery_vectors(
    teacher: Retriever | ImageTower, images: ImageStore, work: Path, around: Surroundings
) -> Float32Array:
    """Unit vectors float32 (n, width) of all images of a store, made in the empty folder `work`."""
    store = teacher_features(teacher, images, work, "gallery", around)
    found: Float32Array = nn.functional.normalize(store.pooled(range(len(images))), dim=-1).numpy()
    return found


def with_teachers(
    sources: Sources, objectives: Iterable[Objective], width: int, work: Path, key: str, around: Surroundings
) -> Sources:
    """Sources with the vectors of the models that objectives need, for a model whose embeddings have `width` numbers.

    Raises ConfigurationError where a teacher cannot be found or its width is another.
    """
    needed = dict.fromkeys(name for one in objectives for name in one.needs)
    others = dict(sources.others)
    for name in needed:
        teacher = load_teacher(name)
        _check_width(name, teacher, width)
        others[name] = teacher_features(teacher, sources.images, work, key, around)
    return replace(sources, others=others) if needed else sources
