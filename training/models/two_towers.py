"""What fusion and sum share: an image tower, a text tower, and features of both for every item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.config import TowersConfig
from training.data.sources import Sources
from training.items import Item
from training.models.assets import Assets, described, is_kept
from training.models.interface import Retriever
from training.models.item_features import features_of, image_inputs, mixed, rows_of, taken
from training.towers.interface import Features, ImageTower, TextTower
from training.towers.load_towers import load_image_tower, load_text_tower
from training.towers.trained_part import set_trained, still_where_frozen

_IMAGE, _TEXT = "image_tower", "text_tower"
_VIEWS = ("fused", _TEXT, _IMAGE)


def begin_turning(*maps: nn.Linear) -> None:
    """Let linear maps at first turn vectors, which keeps what is near near."""
    for one in maps:
        nn.init.orthogonal_(one.weight)
        nn.init.zeros_(one.bias)


class TwoTowers(Retriever):
    """Images and texts go through a tower each, every distinct one once; `fuse` makes one vector of both."""

    config: TowersConfig
    #: From each tower's vectors to the model's space.
    image_map: nn.Module
    text_map: nn.Module

    def __init__(self, config: TowersConfig, assets: Assets | None = None) -> None:
        super().__init__()
        self.config, kept = config, assets or Assets()
        text_name = config.text_tower or config.image_tower
        self.image_tower = load_image_tower(config.image_tower, config.tokens, kept.folder_of(_IMAGE))
        self.text_tower = load_text_tower(text_name, config.tokens, kept.folder_of(_TEXT))
        for role, tower in self._roles().items():
            kept.name(role, tower)
            set_trained(tower, config.train_towers, config.trained_layers)
        # Features of frozen towers are made before anybody has chosen a mode.
        self.train()

    def fuse(self, images: Features | None, has_image: Tensor, texts: Features | None, has_text: Tensor) -> Tensor:
        """Unit vectors float32 (n, width) of features (n rows each); `has_*` bool (n) say which halves count."""
        raise NotImplementedError

    def tower_view(self, role: str, features: Features) -> Tensor:
        """What one tower alone says, in the model's space: unit vectors (n, width)."""
        mapped = self.image_map if role == _IMAGE else self.text_map
        return nn.functional.normalize(mapped(nn.functional.normalize(features["pooled"], dim=-1)), dim=-1)

    def train(self, mode: bool = True) -> TwoTowers:
        """Frozen towers and frozen layers of towers stay in evaluation mode."""
        super().train(mode)
        for tower in self._roles().values():
            still_where_frozen(tower)
        return self

    @property
    def frozen(self) -> bool:
        """See `Retriever`."""
        return self.config.train_towers == "none"

    def feature_towers(self) -> tuple[ImageTower | None, TextTower | None]:
        """See `Retriever`."""
        return self.image_tower, self.text_tower

    def checkpoint_activations(self) -> None:
        """See `Retriever`."""
        for tower in self._roles().values():
            if any(one.requires_grad for one in tower.parameters()):
                tower.checkpoint_activations()

    def _roles(self) -> dict[str, ImageTower | TextTower]:
        return {_IMAGE: self.image_tower, _TEXT: self.text_tower}

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None = None) -> Any:
        """See `Retriever`."""
        images: dict[int, int] = {}
        texts: dict[str, int] = {}

        def image(number: int | None) -> int:
            return -1 if number is None else images.setdefault(number, len(images))

        places = [(image(one.image), image(one.toward)) for one in items]
        said = [texts.setdefault(one.text, len(texts)) if one.text or self.own_texts else -1 for one in items]
        return {
            "image": torch.tensor([one for one, _ in places], dtype=torch.int64),
            "toward": torch.tensor([one for _, one in places], dtype=torch.int64),
            "share": torch.tensor([one.share for one in items], dtype=torch.float32),
            "text": torch.tensor(said, dtype=torch.int64),
            "view": torch.tensor([_VIEWS.index(one.view) for one in items], dtype=torch.int64),
            "images": image_inputs(self.image_tower, list(images), sources, draw),
            "texts": self._text_inputs(list(texts), sources),
        }

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
        images = features_of(self.image_tower, inputs["images"])
        texts = features_of(self.text_tower, inputs["texts"])
        has_image, has_text = inputs["image"] >= 0, inputs["text"] >= 0
        shown = mixed(images, inputs) if images is not None else None
        said = taken(texts, inputs["text"]) if texts is not None else None
        view = inputs["view"]
        if not view.any():
            return self.fuse(shown, has_image, said, has_text)
        found = torch.zeros(len(view), self.width, device=view.device)
        for number, name in enumerate(_VIEWS):
            rows = torch.nonzero(view == number).flatten()
            if not len(rows):
                continue
            if name == "fused":
                vectors = self.fuse(rows_of(shown, rows), has_image[rows], rows_of(said, rows), has_text[rows])
            else:
                features = rows_of(shown if name == _IMAGE else said, rows)
                assert features is not None
                vectors = self.tower_view(name, features)
            found = found.index_copy(0, rows, vectors.float())
        return found

    def towers(self) -> dict[str, dict[str, str]]:
        """See `Retriever`."""
        return {role: described(tower, self._keeps(tower)) for role, tower in self._roles().items()}

    def save_assets(self, folder: Path) -> None:
        """See `Retriever`."""
        for role, tower in self._roles().items():
            if self._keeps(tower):
                tower.save_assets(folder / role)

    def kept_state(self) -> dict[str, Tensor]:
        """See `Retriever`."""
        return self._state_without([] if not self.frozen else [_IMAGE, _TEXT])

    def saved_state(self) -> dict[str, Tensor]:
        """See `Retriever`."""
        return self._state_without([role for role, tower in self._roles().items() if not self._keeps(tower)])

    def _keeps(self, tower: ImageTower | TextTower) -> bool:
        return not self.frozen or is_kept(tower, self.config.keep_towers)

    def _state_without(self, roles: Sequence[str]) -> dict[str, Tensor]:
        left_out = tuple(f"{one}." for one in roles)
        return {name: value for name, value in self.state_dict().items() if not name.startswith(left_out)}
