"""What fusion and sum share: an image tower, a text tower, and features of both for every item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from training.config import TowersConfig
from training.data.sources import Sources
from training.items import Item
from training.models.interface import Retriever
from training.towers.interface import Features, Tower
from training.towers.load_towers import load_image_tower, load_text_tower

_IMAGE, _TEXT = "image_tower", "text_tower"


class TwoTowers(Retriever):
    """Images and texts go through a tower each, every distinct one once; `fuse` makes one vector of both."""

    config: TowersConfig

    def __init__(self, config: TowersConfig, assets: Path | None = None) -> None:
        super().__init__()
        self.config = config
        text_name = config.text_tower or config.image_tower
        trained = config.train_towers != "none"
        folder = assets if trained else None
        self.image_tower = load_image_tower(config.image_tower, config.tokens, folder and folder / _IMAGE)
        self.text_tower = load_text_tower(text_name, config.tokens, folder and folder / _TEXT)
        for tower in (self.image_tower, self.text_tower):
            _set_trained(tower, config.train_towers, config.trained_layers)

    def fuse(self, images: Features | None, has_image: Tensor, texts: Features | None, has_text: Tensor) -> Tensor:
        """Unit vectors float32 (n, width) of features (n rows each); `has_*` bool (n) say which halves count."""
        raise NotImplementedError

    def tower_view(self, role: str, features: Features) -> Tensor:
        """What one tower alone says, in the model's space: unit vectors (n, width)."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> TwoTowers:
        """Frozen towers stay in evaluation mode: no dropout, no new statistics of batches."""
        super().train(mode)
        for tower in (self.image_tower, self.text_tower):
            if not any(one.requires_grad for one in tower.parameters()):
                tower.eval()
        return self

    @property
    def frozen(self) -> bool:
        """Whether features may be computed once."""
        return self.config.train_towers == "none"

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None = None) -> Any:
        """See `Retriever`."""
        images: dict[int, int] = {}
        texts: dict[str, int] = {}

        def image(number: int | None) -> int:
            return -1 if number is None else images.setdefault(number, len(images))

        places = [(image(one.image), image(one.toward)) for one in items]
        said = [texts.setdefault(one.text, len(texts)) if one.text else -1 for one in items]
        return {
            "image": torch.tensor([one for one, _ in places], dtype=torch.int64),
            "toward": torch.tensor([one for _, one in places], dtype=torch.int64),
            "share": torch.tensor([one.share for one in items], dtype=torch.float32),
            "text": torch.tensor(said, dtype=torch.int64),
            "view": torch.tensor([_VIEWS.index(one.view) for one in items], dtype=torch.int64),
            "images": self._image_inputs(list(images), sources, draw),
            "texts": self._text_inputs(list(texts), sources),
        }

    def _image_inputs(self, numbers: list[int], sources: Sources, draw: np.random.Generator | None) -> Any:
        if not numbers:
            return None
        if sources.image_features is not None:
            return {"features": sources.image_features.of(numbers)}
        return {"prepared": self.image_tower.prepare(sources.pictures(numbers, draw))}

    def _text_inputs(self, texts: list[str], sources: Sources) -> Any:
        if not texts:
            return None
        if sources.text_features is None:
            return {"prepared": self.text_tower.prepare(texts)}
        numbers = sources.text_numbers(texts)
        stored, others = np.flatnonzero(numbers >= 0), np.flatnonzero(numbers < 0)
        inputs: dict[str, Any] = {}
        if len(stored):
            inputs["features"] = sources.text_features.of(numbers[stored].tolist())
        if len(others):
            inputs["prepared"] = self.text_tower.prepare([texts[one] for one in others])
            inputs["order"] = torch.from_numpy(np.argsort(np.concatenate([stored, others])))
        return inputs

    def forward(self, inputs: Any) -> Tensor:
        """See `Retriever`."""
        images = _features(self.image_tower, inputs["images"])
        texts = _features(self.text_tower, inputs["texts"])
        has_image, has_text = inputs["image"] >= 0, inputs["text"] >= 0
        shown = _mixed(images, inputs) if images is not None else None
        said = _taken(texts, inputs["text"]) if texts is not None else None
        view = inputs["view"]
        if not view.any():
            return self.fuse(shown, has_image, said, has_text)
        found = torch.zeros(len(view), self.width, device=view.device)
        for number, name in enumerate(_VIEWS):
            rows = torch.nonzero(view == number).flatten()
            if not len(rows):
                continue
            if name == "fused":
                vectors = self.fuse(_rows(shown, rows), has_image[rows], _rows(said, rows), has_text[rows])
            else:
                features = _rows(shown if name == _IMAGE else said, rows)
                assert features is not None
                vectors = self.tower_view(name, features)
            found = found.index_copy(0, rows, vectors.float())
        return found

    def towers(self) -> dict[str, dict[str, str]]:
        """See `Retriever`."""
        return {
            role: {"name": tower.name, "revision": tower.revision}
            for role, tower in ((_IMAGE, self.image_tower), (_TEXT, self.text_tower))
        }

    def save_assets(self, folder: Path) -> None:
        """See `Retriever`."""
        if not self.frozen:
            self.image_tower.save_assets(folder / _IMAGE)
            self.text_tower.save_assets(folder / _TEXT)

    def kept_state(self) -> dict[str, Tensor]:
        """See `Retriever`."""
        state = self.state_dict()
        if not self.frozen:
            return state
        return {name: value for name, value in state.items() if not name.startswith((f"{_IMAGE}.", f"{_TEXT}."))}


_VIEWS = ("fused", _TEXT, _IMAGE)


def _features(tower: Tower, inputs: Any) -> Features | None:
    if inputs is None:
        return None
    parts: list[Features] = [inputs["features"]] if "features" in inputs else []
    if "prepared" in inputs:
        parts.append(tower(inputs["prepared"]))
    return parts[0] if len(parts) == 1 else _rows(joined(*parts), inputs["order"])


def joined(one: Features, other: Features) -> Features:
    """The rows of one, then those of the other; sequences of tokens become equally long."""
    found: Features = {"pooled": torch.cat([one["pooled"], other["pooled"]])}
    if "tokens" in one and "tokens" in other:
        longest = max(one["tokens"].shape[1], other["tokens"].shape[1])
        tokens, masks = [], []
        for part in (one, other):
            sequence = part["tokens"]
            mask = part.get("mask", sequence.new_ones(sequence.shape[:2], dtype=torch.bool))
            missing = longest - sequence.shape[1]
            tokens.append(nn.functional.pad(sequence, (0, 0, 0, missing)))
            masks.append(nn.functional.pad(mask, (0, missing)))
        found["tokens"], found["mask"] = torch.cat(tokens), torch.cat(masks)
    return found


def _taken(features: Features, places: Tensor) -> Features:
    """Rows of distinct features for every item; items without one get the first, and are masked."""
    return cast(Features, _rows(features, places.clamp(min=0)))


def _rows(features: Features | None, rows: Tensor) -> Features | None:
    if features is None:
        return None
    found: Any = {name: value[rows] for name, value in cast(Mapping[str, Tensor], features).items()}
    return cast(Features, found)


def _mixed(features: Features, inputs: Any) -> Features:
    """Features of every item's image; where it has a second one, the point between them."""
    shown = _taken(features, inputs["image"])
    between = inputs["toward"] >= 0
    if not between.any():
        return shown
    other = _taken(features, inputs["toward"])
    share = torch.where(between, inputs["share"], torch.zeros_like(inputs["share"]))
    mixed: Features = dict(shown)  # type: ignore[assignment]
    mixed["pooled"] = torch.where(between[:, None], slerp(shown["pooled"], other["pooled"], share), shown["pooled"])
    if "tokens" in shown:
        tokens = slerp(shown["tokens"], other["tokens"], share[:, None])
        mixed["tokens"] = torch.where(between[:, None, None], tokens, shown["tokens"])
    return mixed


def slerp(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Points on the arc from `one` to `other` (…, d) at `share` (…), 0 at `one`; lengths go linearly.

    Vectors that are nearly parallel are joined by a straight line.
    """
    first, second = one.norm(dim=-1, keepdim=True), other.norm(dim=-1, keepdim=True)
    left, right = one / first.clamp(min=1e-12), other / second.clamp(min=1e-12)
    share = share.unsqueeze(-1)
    cosine = (left * right).sum(-1, keepdim=True)
    angle = torch.arccos(cosine.clamp(-0.9995, 0.9995))
    arc = (torch.sin((1 - share) * angle) * left + torch.sin(share * angle) * right) / torch.sin(angle)
    line = nn.functional.normalize((1 - share) * left + share * right, dim=-1)
    return torch.where(cosine.abs() > 0.9995, line, arc) * ((1 - share) * first + share * second)


def _set_trained(tower: Tower, which: str, layers: int) -> None:
    """Freeze a tower, or all of it but its last layers."""
    tower.requires_grad_(which == "all")
    if which == "last":
        for layer in list(tower.layers())[-layers:]:
            layer.requires_grad_(True)
