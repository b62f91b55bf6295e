"""Prompts with images for Qwen2-VL-like models, whose own processor wants a package for videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from training.models.prompts import IMAGE

#: Models that show an image as one token for every few patches of its grid.
GRID_MODELS = frozenset({"qwen2_vl", "qwen2_5_vl", "qwen3_vl"})


class GridProcessor:
    """An image processor and a tokenizer as one."""

    def __init__(self, image_processor: Any, tokenizer: Any, image_token_id: int) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer
        self.image_token = str(tokenizer.convert_ids_to_tokens(image_token_id))
        self._image_token_id = image_token_id

    def __call__(self, *, images: Sequence[Image.Image] | None, text: str, **options: Any) -> dict[str, Tensor]:
        """A prompt and its images, in order: `input_ids`, `attention_mask` and `mm_token_type_ids` int64 (1, t), and
        with images `pixel_values` float32 (patches, values) and `image_grid_thw` int64 (images, 3)."""
        seen: dict[str, Tensor] = {}
        if images:
            seen = dict(self.image_processor(images=list(images), return_tensors="pt"))
            for grid in seen["image_grid_thw"]:
                places = int(grid.prod()) // self.image_processor.merge_size**2
                text = text.replace(self.image_token, IMAGE * places, 1)
            text = text.replace(IMAGE, self.image_token)
        tokens = dict(self.tokenizer([text], **options))
        return {**tokens, "mm_token_type_ids": (tokens["input_ids"] == self._image_token_id).long(), **seen}

    def save_pretrained(self, folder: Path) -> None:
        """Write both parts."""
        self.image_processor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
