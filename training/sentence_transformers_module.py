"""A retriever as the only module of a sentence-transformers model: its folder names this class, and holds no code."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sentence_transformers.base.modules import InputModule

from training.data.image_store import GivenImages, picture
from training.data.sources import Sources
from training.embedding import moved
from training.items import Item
from training.models.interface import Retriever
from training.models.make import from_pretrained, save_pretrained


@dataclass(frozen=True)
class GivenPictures(Sources):
    """Pictures in memory."""

    shown: Sequence[Image.Image] = ()

    def pictures(self, numbers: Sequence[int], draw: np.random.Generator | None) -> list[Image.Image]:
        """See `Sources`; they are never varied."""
        return [self.shown[one] for one in numbers]


class RetrieverModule(InputModule):
    """Inputs are mappings with `image` (a picture of PIL or the path of a file), `text`, or both; a picture alone; a
    text alone. An image alone is a target, which is what a gallery holds."""

    def __init__(self, retriever: Retriever, about: Mapping[str, Any] | None = None) -> None:
        """`about` is what the description says beside the model."""
        super().__init__()
        self.retriever = retriever
        self._about = dict(about or {})

    @property
    def modalities(self) -> list[Any]:
        """What it takes; inputs of several kinds may stand in one batch."""
        return ["text", "image", ("image", "text"), ("text", "image"), "message"]

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **options: Any) -> dict[str, Any]:
        """`prepared` is what the retriever takes. A prompt stands before texts. Raises ValueError for what is neither
        image nor text."""
        shown: list[Image.Image] = []
        items = []
        for one in inputs:
            given = one if isinstance(one, Mapping) else {"text" if isinstance(one, str) else "image": one}
            image, text = given.get("image"), given.get("text") or ""
            if image is None and not text:
                raise ValueError(f"an input has neither image nor text: {one!r}")
            if image is not None:
                shown.append(_opened(image))
            text = f"{prompt}{text}" if prompt and text else text
            items.append(Item(None if image is None else len(shown) - 1, text))
        return {"prepared": self.retriever.prepare(items, GivenPictures(GivenImages([], []), shown=shown))}

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """`sentence_embedding`, unit vectors float32 (n, width)."""
        device = next((one.device for one in self.retriever.parameters()), torch.device("cpu"))
        features["sentence_embedding"] = self.retriever(moved(features["prepared"], device)).float()
        return features

    def get_embedding_dimension(self) -> int:
        """Numbers of an embedding."""
        return self.retriever.width

    def save(self, output_path: str, *given: Any, safe_serialization: bool = True, **options: Any) -> None:
        """Write the model as `save_pretrained` does."""
        save_pretrained(self.retriever, Path(output_path), self._about)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> RetrieverModule:
        """The model in a folder or on the hub. Raises ConfigurationError."""
        from training.models.make import read_description

        where = {
            name: options[name] for name in ("token", "cache_folder", "revision", "local_files_only") if name in options
        }
        folder = cls.load_dir_path(model_name_or_path, subfolder=subfolder, **where)
        about = read_description(Path(folder or model_name_or_path))
        kept = {name: value for name, value in about.items() if name not in ("format", "model", "towers")}
        return cls(from_pretrained(Path(folder or model_name_or_path)), kept)


def _opened(image: Any) -> Image.Image:
    """A picture as a retriever sees it: RGB over white. Raises ConfigurationError for a file that is no image."""
    if isinstance(image, str | Path):
        return picture(Path(image).read_bytes(), str(image))
    if not isinstance(image, Image.Image):
        raise ValueError(f"an image is a picture of PIL or the path of a file, not {type(image).__name__}")
    if image.mode == "RGB":
        return image
    sink = io.BytesIO()
    (image if image.mode in ("L", "LA", "P", "RGBA", "1") else image.convert("RGB")).save(sink, "PNG")
    return picture(sink.getvalue(), "that was given")
