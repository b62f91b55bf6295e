"""Sum: image plus text embedding, as BGE-VL has it (MegaPairs, arXiv 2412.14475): the strong simple baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from schemas.errors import ConfigurationError
from training.config import SumConfig
from training.models.assets import Assets
from training.models.two_towers import TwoTowers, begin_turning
from training.towers.interface import Features


class Sum(TwoTowers):
    """Unit image embedding plus unit text embedding, of unit length; each through a linear map where `width` is set."""

    kind = "sum"
    config: SumConfig

    def __init__(self, config: SumConfig, assets: Assets | None = None) -> None:
        super().__init__(config, assets)
        images, texts = self.image_tower.shape.width, self.text_tower.shape.width
        if config.width is None and images != texts:
            raise ConfigurationError(
                f"the towers give {images} and {texts} numbers, which cannot be added: set model.width."
            )
        self.width = config.width or images
        self.image_map, self.text_map = nn.Identity(), nn.Identity()
        if config.width is not None:
            maps = nn.Linear(images, config.width), nn.Linear(texts, config.width)
            begin_turning(*maps)
            self.image_map, self.text_map = maps

    def fuse(self, images: Features | None, has_image: Tensor, texts: Features | None, has_text: Tensor) -> Tensor:
        """See `TwoTowers`."""
        total = torch.zeros(len(has_image), self.width, device=has_image.device)
        for role, features, there in (("image_tower", images, has_image), ("text_tower", texts, has_text)):
            if features is not None:
                weight = self.config.text_weight if role == "text_tower" else 1.0
                total = total + weight * there[:, None] * self.tower_view(role, features)
        return nn.functional.normalize(total, dim=-1)
