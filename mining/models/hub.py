"""Models of `transformers` by name or folder: CLIP-like image and text towers, and captioners (preset `hub`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from schemas.errors import ConfigurationError, MissingPackageError
from schemas.protocols import Float32Array, UInt8Array

_TOKENS = 64


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingPackageError("transformers", "hub", "the preset hub") from error
    return transformers


def _load(kind: str, name: str, device: str) -> Any:
    transformers = _transformers()
    try:
        return getattr(transformers, kind).from_pretrained(name).eval().to(device)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot load the model {name!r}: {' '.join(str(error).split())[:300]}") from error


def _pooled(output: Any) -> Any:
    # Since transformers 5 the towers give an output object.
    return getattr(output, "pooler_output", output)


def _fixed_batch(images: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """torch's bits depend on the batch: a short one is filled up."""
    missing = size - len(images)
    return images if missing <= 0 else np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])


class HubImageEncoder:
    """The image tower of a CLIP- or SigLIP-like model. Batches are cut in the order of the images and filled up."""

    def __init__(self, name: str, revision: str | None, device: str, batch: int) -> None:
        transformers = _transformers()
        self._model = _load("AutoModel", name, device)
        if not hasattr(self._model, "get_image_features"):
            raise ConfigurationError(
                f"{name!r} has no image tower: annotate_images.image_model takes CLIP-like models."
            )
        self.name, self.revision = name, revision or str(getattr(self._model.config, "_commit_hash", None) or "local")
        settings = transformers.AutoImageProcessor.from_pretrained(name)
        self._mean = np.array(settings.image_mean or [0.5] * 3, np.float32)
        self._std = np.array(settings.image_std or [0.5] * 3, np.float32)
        self._device, self._batch = device, batch
        self.crop = self.resize = int(self._model.config.vision_config.image_size)
        self.dimension = int(self.encode(np.zeros((1, self.crop, self.crop, 3), np.uint8))[0].shape[1])

    def encode(self, images: UInt8Array) -> tuple[Float32Array, Sequence[str | None], Float32Array]:
        """See `schemas.protocols.ImageEncoder`; there are no labels."""
        import torch

        pixels = (images.astype(np.float32) / 255.0 - self._mean) / self._std
        parts = []
        for start in range(0, len(pixels), self._batch):
            batch = _fixed_batch(pixels[start : start + self._batch], self._batch).transpose(0, 3, 1, 2)
            with torch.inference_mode():
                tensor = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
                parts.append(_pooled(self._model.get_image_features(pixel_values=tensor)).float().cpu().numpy())
        features = np.concatenate(parts)[: len(images)]
        return features, [None] * len(images), np.zeros(len(images), np.float32)


class HubTextEncoder:
    """The text tower of a CLIP- or SigLIP-like model, each text alone, filled up to the model's length."""

    def __init__(self, name: str, revision: str | None, device: str) -> None:
        transformers = _transformers()
        self._model = _load("AutoModel", name, device)
        if not hasattr(self._model, "get_text_features"):
            raise ConfigurationError(f"{name!r} has no text tower: annotate_images.text_model takes CLIP-like models.")
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        self.name, self.revision = name, revision or str(getattr(self._model.config, "_commit_hash", None) or "local")
        self._device = device
        self._tokens = min(_TOKENS, int(self._model.config.text_config.max_position_embeddings))
        self.dimension = int(self.encode(["a"]).shape[1])

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """See `schemas.protocols.TextEncoder`."""
        import torch

        rows = []
        for text in texts:
            tokens = self._tokenizer(
                text, padding="max_length", truncation=True, max_length=self._tokens, return_tensors="pt"
            )
            with torch.inference_mode():
                rows.append(_pooled(self._model.get_text_features(**tokens.to(self._device))).float().cpu().numpy()[0])
        vectors = np.stack(rows) if rows else np.zeros((0, self.dimension))
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return (vectors / lengths).astype(np.float32)


class HubCaptioner:
    """An image-to-text model, greedy, one image at a time."""

    def __init__(self, name: str, revision: str | None, device: str) -> None:
        transformers = _transformers()
        self._model = _load("AutoModelForImageTextToText", name, device)
        self._processor = transformers.AutoProcessor.from_pretrained(name)
        self.name, self.revision = name, revision or str(getattr(self._model.config, "_commit_hash", None) or "local")
        self._device = device

    def caption(self, images: Sequence[bytes]) -> Sequence[str | None]:
        """See `schemas.protocols.Captioner`."""
        import torch

        captions: list[str | None] = []
        for data in images:
            with Image.open(io.BytesIO(data)) as image:
                inputs = self._processor(images=image.convert("RGB"), return_tensors="pt").to(self._device)
            with torch.inference_mode():
                tokens = self._model.generate(**inputs, max_new_tokens=40, do_sample=False)
            text = self._processor.batch_decode(tokens, skip_special_tokens=True)[0]
            captions.append(" ".join(text.split()) or None)
        return captions
