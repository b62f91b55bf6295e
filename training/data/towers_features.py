"""Features of a dataset's images and texts from a model's frozen towers, made once and kept beside the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from schemas.ids import digest
from training.data.feature_store import FeatureStore, make_features
from training.data.image_store import ImageStore, picture
from training.data.made_once import made_once
from training.data.sources import Sources
from training.data.string_table import StringTable, write_strings
from training.models.interface import Retriever
from training.towers.interface import Features, ImageTower, TextTower

#: A tower's own faster way from image files (id, bytes) or texts to vectors, by the tower's name.
ImageEncoders = Mapping[str, Callable[[list[tuple[str, bytes]]], torch.Tensor]]
TextEncoders = Mapping[str, Callable[[list[str]], torch.Tensor]]
Say = Callable[[str], None]


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
    names, own = _distinct(chain((one for one in texts if one), model.own_texts), work)
    said = text_features(text_tower, names, work, own, say, text_encoders or {})
    return Sources(images, shown, said, names)


def _distinct(texts: Iterable[str], work: Path) -> tuple[StringTable, str]:
    """The distinct texts in a folder that is named after what they are, and that name."""
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=work, prefix="texts.") as folder:
        key = write_strings(Path(folder), texts)[:16]
        with made_once(work / f"texts-{key}") as empty:
            if empty is not None:
                shutil.copytree(folder, empty, dirs_exist_ok=True)
    return StringTable(work / f"texts-{key}"), key


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
    tower: TextTower, texts: Sequence[str], work: Path, key: str, say: Say, encoders: TextEncoders
) -> FeatureStore:
    """Features of texts, by their number in the list."""
    fast = encoders.get(tower.name) if not tower.shape.tokens else None

    def of(numbers: range) -> Features:
        part = list(texts[numbers.start : numbers.stop])
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
