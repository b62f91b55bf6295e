"""Features of a dataset's images and texts from a model's frozen towers, made once and kept beside the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from schemas.ids import digest
from training.data.feature_store import FeatureStore, make_features
from training.data.image_store import HashIndex, ImageStore, picture
from training.data.sources import Sources
from training.models.interface import Retriever
from training.towers.interface import Features, ImageTower, TextTower

#: A tower's own faster way from image files (id, bytes) or texts to vectors, by the tower's name.
ImageEncoders = Mapping[str, Callable[[list[tuple[str, bytes]]], torch.Tensor]]
TextEncoders = Mapping[str, Callable[[list[str]], torch.Tensor]]
Say = Callable[[str], None]
_TEXTS_AT_ONCE = 100_000


def frozen_sources(
    model: Retriever,
    images: ImageStore,
    texts: Iterable[str],
    work: Path,
    key: str,
    say: Say,
    image_encoders: ImageEncoders | None = None,
    text_encoders: TextEncoders | None = None,
) -> Sources:
    """Sources with features of all images and of the distinct texts, of the towers that the model has; `key` tells this
    content from others."""
    image_tower, text_tower = model.feature_towers()
    shown = image_features(image_tower, images, work, key, say, image_encoders or {}) if image_tower else None
    if text_tower is None:
        return Sources(images, shown)
    distinct = sorted({*texts, *model.own_texts})
    own = digest("texts", *distinct)[:16]
    names = work / f"texts-{own}"
    if not names.with_suffix(".numbers.npy").exists():
        HashIndex.write(names, iter(distinct))
    said = text_features(text_tower, distinct, work, own, say, text_encoders or {})
    return Sources(images, shown, said, HashIndex(names))


def image_features(
    tower: ImageTower, images: ImageStore, work: Path, key: str, say: Say, encoders: ImageEncoders
) -> FeatureStore:
    """Features of all images of a store."""
    fast = encoders.get(tower.name) if not tower.shape.tokens else None

    def of(numbers: range) -> Features:
        if fast is not None:
            return {"pooled": fast([(images.describe(one), images.file(one)) for one in numbers])}
        found: Features = tower(tower.prepare([picture(images.file(one), images.describe(one)) for one in numbers]))
        return found

    folder = work / f"image-features-{_key(tower, key)}"
    return make_features(folder, len(images), tower.shape, of, _progress(say, "images"))


def text_features(
    tower: TextTower, texts: list[str], work: Path, key: str, say: Say, encoders: TextEncoders
) -> FeatureStore:
    """Features of texts, by their number in the list."""
    fast = encoders.get(tower.name) if not tower.shape.tokens else None

    def of(numbers: range) -> Features:
        part = texts[numbers.start : numbers.stop]
        if fast is not None:
            return {"pooled": fast(part)}
        found: Features = tower(tower.prepare(part))
        return found

    folder = work / f"text-features-{_key(tower, key)}"
    return make_features(folder, len(texts), tower.shape, of, _progress(say, "texts"))


def _key(tower: ImageTower | TextTower, key: str) -> str:
    return digest("features", tower.name, tower.revision, str(tower.shape), key)[:16]


def _progress(say: Say, what: str) -> Callable[[int, int], None]:
    told = [0]

    def tell(done: int, count: int) -> None:
        if done == count or done - told[0] >= 1024:
            told[0] = done
            say(f"features of {done} of {count} {what}")

    return tell
