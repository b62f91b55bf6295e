"""A processor for Qwen2-VL-like models from their image processor and tokenizer alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image


class GridProcessor:
    """Each image stands in the text as one token for every `merge_size` x `merge_size` patches of its grid."""

    def __init__(self, image_processor: Any, tokenizer: Any, image_token_id: int) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer
        self.image_token = str(tokenizer.convert_ids_to_tokens(image_token_id))
        self._image_token_id = image_token_id

    def __call__(
        self, *, images: Sequence[Sequence[Image.Image]] | None, text: Sequence[str], **options: Any
    ) -> dict[str, Any]:
        """One prompt with its images, in the order in which it shows them.

        Gives tensors: `input_ids`, `attention_mask`, `mm_token_type_ids` int64 (1, tokens), `image_grid_thw` int64
        (images, 3) and `pixel_values` float32 (patches of all images, values of a patch). Raises ValueError where
        prompt and images do not fit, and for an image more than 200 times as long as wide.
        """
        (prompt,) = text
        shown = images[0] if images else ()
        pieces = prompt.split(self.image_token)
        if len(pieces) != len(shown) + 1:
            raise ValueError(f"the prompt shows {len(pieces) - 1} images, the request has {len(shown)}")
        seen: dict[str, Any] = {}
        if shown:
            seen = dict(self.image_processor(images=list(shown), return_tensors="pt"))
            counts = (seen["image_grid_thw"].prod(dim=1) // self.image_processor.merge_size**2).tolist()
            prompt = pieces[0] + "".join(
                self.image_token * count + piece for count, piece in zip(counts, pieces[1:], strict=True)
            )
        tokens = dict(self.tokenizer([prompt], **options))
        kinds = (tokens["input_ids"] == self._image_token_id).long()
        return {**tokens, "mm_token_type_ids": kinds, **seen}
