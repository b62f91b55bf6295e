"""The fusion model: an image and a text, each one vector of a frozen tower, to one embedding.

Linear maps to a common width, a pre-norm transformer over the two tokens and attention pooling, as the small model of
MagicLens' design has it; an image alone goes the same way, so that queries and gallery share one space.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from schemas.protocols import Float32Array

#: Rows that are encoded at once.
_BATCH = 256


class FusionModel(nn.Module):
    """`forward(images (n, image_width), texts (n, text_width) or None)` → unit vectors float32 (n, width)."""

    def __init__(self, image_width: int, text_width: int, width: int = 384, layers: int = 4, heads: int = 6) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "image_width": image_width,
            "text_width": text_width,
            "width": width,
            "layers": layers,
            "heads": heads,
        }
        self.image_map = nn.Linear(image_width, width)
        self.text_map = nn.Linear(text_width, width)
        self.kinds = nn.Parameter(torch.zeros(2, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.pooling = nn.Linear(width, 1)
        # The mapped inputs go around the transformer: an untrained model finds what the towers find, and little data
        # cannot make it worse than they are.
        self.gate = nn.Parameter(torch.tensor(0.1))
        for mapped in (self.image_map, self.text_map):
            nn.init.orthogonal_(mapped.weight)
            nn.init.zeros_(mapped.bias)

    def forward(self, images: Tensor | None, texts: Tensor | None) -> Tensor:
        """At least one of the two is given."""
        unit = nn.functional.normalize
        mapped = []
        if images is not None:
            mapped.append((unit(self.image_map(unit(images, dim=-1)), dim=-1), self.kinds[0]))
        if texts is not None:
            mapped.append((unit(self.text_map(unit(texts, dim=-1)), dim=-1), self.kinds[1]))
        hidden = self.encoder(torch.stack([vector + kind for vector, kind in mapped], dim=1))
        weights = torch.softmax(self.pooling(hidden), dim=1)
        fused = (weights * hidden).sum(dim=1)
        # An image leads where there is one; the text begins as a small step away from it.
        around = mapped[0][0] if len(mapped) == 1 else mapped[0][0] + 0.3 * mapped[1][0]
        return unit(around + self.gate * unit(fused, dim=-1), dim=-1)


def encode(model: FusionModel, images: Float32Array | None, texts: Float32Array | None) -> Float32Array:
    """Unit vectors float32 (n, width) of image features (n, image_width), text features (n, text_width), or both; of
    each row alone: nothing depends on its neighbours but the last bits."""
    given = images if images is not None else texts
    if given is None:
        raise ValueError("images or texts are needed")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(given), _BATCH):
            rows = slice(start, start + _BATCH)
            halves = (None if one is None else torch.from_numpy(one[rows]) for one in (images, texts))
            parts.append(model(*halves).numpy())
    found: Float32Array = np.concatenate(parts) if parts else np.zeros((0, model.settings["width"]), np.float32)
    return found
