"""Fusion: MagicLens' design (arXiv 2403.19651, section 3.2) over the pooled embeddings of two towers, or their tokens.

Linear maps bring both to a common width, pre-LayerNorm self-attention layers see them together, and attention pooling
with one learned query makes one vector of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.config import FusionConfig
from training.models.assets import Assets
from training.models.two_towers import TwoTowers, begin_turning
from training.towers.interface import Features


class Fusion(TwoTowers):
    """`fuse` attends over image and text; a half that is not there is masked. As MagicLens was released: `residual`
    false and `empty_text` encoded, over the pooled vectors of a CLIP."""

    kind = "fusion"
    config: FusionConfig

    def __init__(self, config: FusionConfig, assets: Assets | None = None) -> None:
        super().__init__(config, assets)
        self.own_texts = ("",) if config.empty_text == "encoded" else ()
        self._recompute = False
        width, images, texts = config.width, self.image_tower.shape, self.text_tower.shape
        self.width = width
        maps = nn.Linear(images.width, width), nn.Linear(texts.width, width)
        self.image_map, self.text_map = maps
        if config.tokens:
            self.image_token_map = nn.Linear(images.token_width, width)
            self.text_token_map = nn.Linear(texts.token_width, width)
        self.kinds = nn.Parameter(torch.zeros(2, width))
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 4 * width, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.pooling = nn.Linear(width, 1)
        # The mapped inputs go around the transformer: an untrained model finds what the towers find, and little data
        # cannot make it worse than they are.
        self.gate = nn.Parameter(torch.tensor(0.1))
        begin_turning(*maps)

    def fuse(self, images: Features | None, has_image: Tensor, texts: Features | None, has_text: Tensor) -> Tensor:
        """See `TwoTowers`."""
        halves, sequence, masks = [], [], []
        for number, (role, features, there) in enumerate(
            (("image_tower", images, has_image), ("text_tower", texts, has_text))
        ):
            if features is None:
                continue
            vector = self.tower_view(role, features)
            halves.append((vector, there))
            sequence.append(vector[:, None] + self.kinds[number])
            masks.append(there[:, None])
            if self.config.tokens:
                tokens = (self.image_token_map if number == 0 else self.text_token_map)(_unit(features["tokens"]))
                sequence.append(tokens + self.kinds[number])
                mask = features.get("mask")
                seen = mask if mask is not None else there.new_ones(tokens.shape[:2])
                masks.append(seen & there[:, None])
        mask = torch.cat(masks, dim=1)
        hidden = self._attended(torch.cat(sequence, dim=1), ~mask)
        weights = torch.softmax(self.pooling(hidden).masked_fill(~mask[..., None], float("-inf")), dim=1)
        fused = _unit((weights * hidden).sum(dim=1))
        if not self.config.residual:
            return fused
        return _unit(_around(halves, has_image, self.config.text_weight) + self.gate * fused)

    def _attended(self, sequence: Tensor, padding: Tensor) -> Tensor:
        if not (self._recompute and self.training):
            attended: Tensor = self.encoder(sequence, src_key_padding_mask=padding)
            return attended
        for layer in self.encoder.layers:
            sequence = checkpoint(layer, sequence, src_key_padding_mask=padding, use_reentrant=False)
        assert self.encoder.norm is not None
        last: Tensor = self.encoder.norm(sequence)
        return last

    def checkpoint_activations(self) -> None:
        """See `Retriever`."""
        super().checkpoint_activations()
        self._recompute = True


def _around(halves: list[tuple[Tensor, Tensor]], has_image: Tensor, text_weight: float) -> Tensor:
    """An image leads where there is one; the text is a step of this length away from it."""
    total = torch.zeros_like(halves[0][0])
    for vector, there in halves:
        leads = there if there is has_image else ~has_image
        step = torch.where(leads, 1.0, text_weight) * there
        total = total + step[:, None] * vector
    return total


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=-1)
