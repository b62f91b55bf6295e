"""Towers of CLIP- and SigLIP-like models of transformers, by name or folder; any other text encoder, mean pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from schemas.errors import ConfigurationError
from training.towers.hub_checkpoints import (
    load_checkpoint,
    plain_name,
    revision_of,
    transformers_module,
    weights_of,
)
from training.towers.interface import Features, ImageTower, TextTower, Tower, TowerShape

_LONGEST_TEXT = 512
#: Dual models whose texts were filled up to one length in training: they pool the last token.
_FILLED_TEXTS = ("siglip",)
_STACKS = ("layers", "layer", "blocks")
_BEHIND = ("post_layernorm", "final_layer_norm", "layernorm", "head", "pooler")


class _HubTower(Tower):
    """A network of transformers with what prepares its inputs."""

    network: Any
    _tool: Any

    def _begin(self, source: str, assets: Path | None) -> None:
        """Build the network: from assets its architecture alone, whose weights come with the model's."""
        if assets is None:
            self.network = load_checkpoint("AutoModel", source).float()
        else:
            module = transformers_module("a tower of transformers")
            self.network = module.AutoModel.from_config(load_checkpoint("AutoConfig", str(assets))).float()
        self.network.eval()
        self.name, self.weights = plain_name(source), "model" if assets else weights_of(source)
        self.revision = "" if assets else revision_of(source, self.network.config)

    def save_assets(self, folder: Path) -> None:
        """See `Tower`."""
        self.network.config.save_pretrained(folder)
        self._tool.save_pretrained(folder)

    def checkpoint_activations(self) -> None:
        """See `Tower`."""
        half = self._half()
        half.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        # Gradients need not reach frozen embeddings: recomputed layers find their own way to what is trained.
        half.disable_input_require_grads()

    def _half(self) -> Any:
        """The part of the network that this tower uses, without projections."""
        raise NotImplementedError

    def _drop(self, *names: str) -> None:
        """Take out what is not used, so that it is neither moved nor saved."""
        for name in names:
            if hasattr(self.network, name):
                setattr(self.network, name, None)

    def _stacked(self, projection: str | None = None) -> Sequence[nn.Module]:
        """Embeddings, layers, and what stands behind them, if there is anything."""
        half = self._half()
        stack = next((getattr(half.encoder, name) for name in _STACKS if hasattr(half.encoder, name)), None)
        if stack is None:
            raise NotImplementedError
        behind = [getattr(half, name, None) for name in _BEHIND]
        behind.append(getattr(self.network, projection, None) if projection else None)
        rest = nn.ModuleList([one for one in behind if isinstance(one, nn.Module)])
        return [half.embeddings, *stack, *([rest] if len(rest) else [])]


class HubImageTower(_HubTower, ImageTower):
    """The image half of a model with `get_image_features`; its tokens are the vision model's last hidden states."""

    def __init__(self, source: str, tokens: bool = False, assets: Path | None = None) -> None:
        super().__init__()
        self._begin(source, assets)
        if not hasattr(self.network, "get_image_features"):
            raise ConfigurationError(f"{source!r} has no image tower: model.image_tower takes CLIP-like models.")
        self._tool = load_checkpoint("AutoImageProcessor", str(assets or source), backend="pil")
        self._drop("text_model", "text_projection", "text_branch")
        with torch.no_grad():
            seen = self._seen(self.prepare([Image.new("RGB", (64, 64))]))
        width = seen["pooled"].shape[-1]
        self.shape = TowerShape(width, *reversed(seen["tokens"].shape[1:])) if tokens else TowerShape(width)

    def prepare(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        """What the model's processor makes: `pixel_values` float32, of (n, 3, h, w) mostly; models of any aspect ratio
        also get a mask and shapes."""
        return dict(self._tool(images=list(pictures), return_tensors="pt"))

    def _seen(self, prepared: Mapping[str, Tensor]) -> Features:
        output = self.network.get_image_features(**prepared)
        found: Features = {"pooled": output.pooler_output, "tokens": output.last_hidden_state}
        if found["tokens"].ndim > 3:
            # A convolutional model's grid of features.
            found["tokens"] = found["tokens"].flatten(2).transpose(1, 2)
        if "pixel_attention_mask" in prepared:
            found["mask"] = prepared["pixel_attention_mask"].bool()
        return found

    def forward(self, prepared: Mapping[str, Tensor]) -> Features:
        """See `Tower`."""
        seen = self._seen(prepared)
        return seen if self.shape.tokens else {"pooled": seen["pooled"]}

    def layers(self) -> Sequence[nn.Module]:
        """See `Tower`."""
        return self._stacked("visual_projection")

    def _half(self) -> Any:
        return self.network.vision_model


class HubTextTower(_HubTower, TextTower):
    """The text half of a model with `get_text_features`; of any other text encoder the mean of its last hidden states.
    Its tokens are the last hidden states."""

    def __init__(self, source: str, tokens: bool = False, assets: Path | None = None) -> None:
        super().__init__()
        self._begin(source, assets)
        self._tool = load_checkpoint("AutoTokenizer", str(assets or source))
        config = getattr(self.network.config, "text_config", self.network.config)
        self._dual = hasattr(self.network, "get_text_features")
        if not self._dual and getattr(self.network.config, "is_encoder_decoder", False):
            raise ConfigurationError(f"{source!r} is no text encoder: model.text_tower takes CLIP- or BERT-like ones.")
        longest = getattr(config, "max_position_embeddings", None) or _LONGEST_TEXT
        self._longest = min(int(longest), int(self._tool.model_max_length), _LONGEST_TEXT)
        filled = any(one in self.network.config.model_type for one in _FILLED_TEXTS)
        self._fill: bool | str = "max_length" if self._dual and filled else True
        self._drop("vision_model", "visual_projection", *(() if self._dual else ("pooler",)))
        with torch.no_grad():
            said = self._said(self.prepare(["a"]))
        width = said["pooled"].shape[-1]
        self.shape = TowerShape(width, said["tokens"].shape[-1], self._longest) if tokens else TowerShape(width)

    def prepare(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """`input_ids` and, where the model knows it, `attention_mask`, int64 (n, t)."""
        found = self._tool(
            list(texts), padding=self._fill, truncation=True, max_length=self._longest, return_tensors="pt"
        )
        return {name: found[name] for name in ("input_ids", "attention_mask") if name in found}

    def _said(self, prepared: Mapping[str, Tensor]) -> Features:
        mask = prepared.get("attention_mask")
        if self._dual:
            output = self.network.get_text_features(**prepared)
            pooled, hidden = output.pooler_output, output.last_hidden_state
        else:
            hidden = self.network(**prepared).last_hidden_state
            weights = (mask if mask is not None else hidden.new_ones(hidden.shape[:2])).unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        found: Features = {"pooled": pooled, "tokens": hidden}
        if mask is not None:
            found["mask"] = mask.bool()
        return found

    def forward(self, prepared: Mapping[str, Tensor]) -> Features:
        """See `Tower`."""
        said = self._said(prepared)
        return said if self.shape.tokens else {"pooled": said["pooled"]}

    def layers(self) -> Sequence[nn.Module]:
        """See `Tower`."""
        return self._stacked("text_projection" if self._dual else None)

    def _half(self) -> Any:
        return self.network.text_model if self._dual else self.network
