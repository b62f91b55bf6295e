"""Models of `transformers` by name or folder: CLIP-like image and text towers, vision models, captioners, detectors
(preset `hub`).

torch's bits depend on the shape of what it computes: images and texts go through in batches of one size, cut in the
order of the rows and filled up, and texts are padded to one length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mining.decoding import decode
from schemas.errors import ConfigurationError, MissingPackageError
from schemas.protocols import Float32Array, UInt8Array

#: Tokens of a text; CLIP's longest is 77, SigLIP's 64.
_TOKENS = 64
_CAPTION_TOKENS = 40
#: A captioner's image was decoded within the configured limit before.
_NO_LIMIT = 1 << 40


def _transformers() -> Any:
    try:
        import torch  # noqa: F401
        import transformers
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingPackageError(error.name or "transformers", "hub", "the preset hub") from error
    disable_progress_bar()
    return transformers


class Checkpoint:
    """A model of the hub (`NAME` or `NAME@REVISION`) or a folder, in float32."""

    def __init__(self, name: str, device: str, threads: int) -> None:
        self._transformers = _transformers()
        import torch

        torch.set_num_threads(threads)
        self._source, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
        self._revision = revision or None
        self._device = device
        # A folder is named by its last part: tables hold no paths of the machine that wrote them.
        self.name = Path(name).resolve().name if Path(name).is_dir() else self._source

    def load(self, kind: str, **options: Any) -> Any:
        """What the class `kind` of transformers makes of the checkpoint. Raises ConfigurationError."""
        try:
            return getattr(self._transformers, kind).from_pretrained(self._source, revision=self._revision, **options)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigurationError(f"cannot load {kind} of the model {self._source!r}: {reason}") from error

    def model(self, kind: str) -> Any:
        """The model in evaluation mode on its device."""
        return self._ready(self.load(kind))

    def model_and_gaps(self, kind: str) -> tuple[Any, list[str]]:
        """The same, with the names of the weights that the checkpoint does not hold: those are random."""
        model, told = self.load(kind, output_loading_info=True)
        return self._ready(model), sorted(told["missing_keys"])

    def _ready(self, model: Any) -> Any:
        try:
            # Whatever precision it was saved in: half precision on a CPU is slow or missing.
            return model.float().eval().to(self._device)
        except RuntimeError as error:
            raise ConfigurationError(f"cannot use the device {self._device!r}: {error}") from error

    def revision(self, model: Any) -> str:
        """The commit that was loaded, `local` for a folder."""
        return str(getattr(model.config, "_commit_hash", None) or self._revision or "local")


def _pooled(output: Any) -> Float32Array:
    # Since transformers 5 the towers give an output object.
    result: Float32Array = getattr(output, "pooler_output", output).float().cpu().numpy()
    return result


def _filled(rows: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The rows with the last one repeated until there are `size`."""
    missing = size - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing > 0 else rows


class _Eye:
    """How a processor sees pictures: their size, as `mining.decoding` makes it (`resize`, `crop`: see
    `schemas.protocols.GeneratedScorer`), and the numbers that a model is given."""

    def __init__(self, settings: Any, model: Any) -> None:
        normalised, size = getattr(settings, "do_normalize", True), dict(settings.size)
        self._mean = np.array(settings.image_mean if normalised else [0.0] * 3, np.float32)
        self._std = np.array(settings.image_std if normalised else [1.0] * 3, np.float32)
        self.resize: int | None = size.get("shortest_edge")
        side = dict(getattr(settings, "crop_size", None) or {}) if self.resize else size
        self.crop = int(side.get("height") or self.resize or getattr(model.config, "image_size", 0) or 224)

    def pixels(self, images: UInt8Array, batch: int) -> Any:
        """A tensor float32 (batch, 3, crop, crop) of images (n, crop, crop, 3), filled up."""
        import torch

        pixels = (_filled(images, batch).astype(np.float32) / 255.0 - self._mean) / self._std
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


class HubImageEncoder:
    """The image tower of a CLIP- or SigLIP-like model, on centre crops (SigLIP's own processor squeezes instead)."""

    def __init__(self, name: str, device: str = "cpu", batch: int = 16, threads: int = 1) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._model = checkpoint.model("AutoModel")
        side = getattr(getattr(self._model.config, "vision_config", None), "image_size", None)
        if not hasattr(self._model, "get_image_features") or not isinstance(side, int):
            raise ConfigurationError(
                f"{name!r} has no image tower: annotate_images.image_model takes CLIP-like models."
            )
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        settings = checkpoint.load("AutoImageProcessor")
        normalised = getattr(settings, "do_normalize", True)
        self._mean = np.array(settings.image_mean if normalised else [0.0] * 3, np.float32)
        self._std = np.array(settings.image_std if normalised else [1.0] * 3, np.float32)
        self._device, self._batch = device, batch
        self.crop = self.resize = side
        self.dimension = int(self._encode(np.zeros((1, side, side, 3), np.uint8)).shape[1])

    def encode(self, images: UInt8Array) -> tuple[Float32Array, Sequence[str | None], Float32Array]:
        """See `schemas.protocols.ImageEncoder`; there are no labels."""
        starts = range(0, len(images), self._batch)
        parts = [self._encode(images[start : start + self._batch]) for start in starts]
        features = np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)
        return features, [None] * len(images), np.zeros(len(images), np.float32)

    def _encode(self, images: UInt8Array) -> Float32Array:
        import torch

        pixels = (_filled(images, self._batch).astype(np.float32) / 255.0 - self._mean) / self._std
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).to(self._device)
            return _pooled(self._model.get_image_features(pixel_values=tensor))[: len(images)]


class HubTextEncoder:
    """The text tower of a CLIP- or SigLIP-like model."""

    def __init__(self, name: str, device: str = "cpu", batch: int = 16, threads: int = 1) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._model = checkpoint.model("AutoModel")
        if not hasattr(self._model, "get_text_features"):
            raise ConfigurationError(f"{name!r} has no text tower: annotate_images.text_model takes CLIP-like models.")
        self._tokenizer = checkpoint.load("AutoTokenizer")
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        self._device, self._batch = device, batch
        self._tokens = min(_TOKENS, int(self._model.config.text_config.max_position_embeddings))
        self.dimension = int(self._encode(["a"]).shape[1])

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """See `schemas.protocols.TextEncoder`."""
        starts = range(0, len(texts), self._batch)
        parts = [self._encode(texts[start : start + self._batch]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)

    def _encode(self, texts: Sequence[str]) -> Float32Array:
        import torch

        filled = [*texts, *[texts[-1]] * (self._batch - len(texts))]
        tokens = self._tokenizer(
            filled, padding="max_length", truncation=True, max_length=self._tokens, return_tensors="pt"
        )
        with torch.inference_mode():
            vectors = _pooled(self._model.get_text_features(**tokens.to(self._device)))[: len(texts)]
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return (vectors / lengths).astype(np.float32)


class HubPatternEncoder:
    """A vision model such as DINOv2: what it pools, or the class token where it has no trained pooling."""

    def __init__(self, name: str, device: str = "cpu", batch: int = 16, threads: int = 1) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._model, gaps = checkpoint.model_and_gaps("AutoModel")
        if self._model.main_input_name != "pixel_values" or hasattr(self._model, "get_text_features"):
            raise ConfigurationError(
                f"{name!r} does not look at images alone: annotate_images.pattern_model takes vision models such as "
                "facebook/dinov2-base."
            )
        # A checkpoint that was trained with a head of another kind gets a pooling of random numbers.
        self._pools = not any("pooler" in gap for gap in gaps)
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        self._eye = _Eye(checkpoint.load("AutoImageProcessor"), self._model)
        self.resize, self.crop = self._eye.resize, self._eye.crop
        self._device, self._batch = device, batch
        self.dimension = int(self._encode(np.zeros((1, self.crop, self.crop, 3), np.uint8)).shape[1])

    def encode(self, images: UInt8Array) -> Float32Array:
        """See `schemas.protocols.PatternEncoder`."""
        starts = range(0, len(images), self._batch)
        parts = [self._encode(images[start : start + self._batch]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)

    def _encode(self, images: UInt8Array) -> Float32Array:
        import torch

        tensor = self._eye.pixels(images, self._batch).to(self._device)
        with torch.inference_mode():
            output = self._model(pixel_values=tensor)
            pooled = getattr(output, "pooler_output", None) if self._pools else None
            # Convolutions pool to (n, d, 1, 1).
            features = output.last_hidden_state[:, 0] if pooled is None else pooled
            found: Float32Array = features.flatten(1).float().cpu().numpy()
        return found[: len(images)]


#: Words in the names of classes by which detectors say "made by a model".
_GENERATED = frozenset(
    "ai aigc aigenerated artificial deepfake diffusion fake gan generated machine synthetic synth".split()
)
_CLASS_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class HubGeneratedScorer:
    """A classifier of images with classes such as `artificial` and `human`: the probability of the first kind.

    `label` names the class (several with commas); without it the classes whose names hold a word like `fake`, `ai` or
    `generated` are taken. Raises ConfigurationError where no class, or every class, is one.
    """

    def __init__(
        self, name: str, label: str | None = None, device: str = "cpu", batch: int = 16, threads: int = 1
    ) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._model = checkpoint.model("AutoModelForImageClassification")
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        classes = self._model.config.id2label
        self._columns = sorted(number for number, one in classes.items() if _says_generated(one, label))
        if not 0 < len(self._columns) < len(classes):
            listed = ", ".join(repr(classes[number]) for number in sorted(classes))
            raise ConfigurationError(
                f"annotate_images.generated_label must name the class of {name!r} that stands for generated images, "
                f"one of {listed[:300]}."
            )
        self._eye = _Eye(checkpoint.load("AutoImageProcessor"), self._model)
        self.resize, self.crop = self._eye.resize, self._eye.crop
        self._device, self._batch = device, batch

    def score(self, images: UInt8Array) -> Float32Array:
        """See `schemas.protocols.GeneratedScorer`."""
        starts = range(0, len(images), self._batch)
        parts = [self._score(images[start : start + self._batch]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _score(self, images: UInt8Array) -> Float32Array:
        import torch

        tensor = self._eye.pixels(images, self._batch).to(self._device)
        with torch.inference_mode():
            shares = self._model(pixel_values=tensor).logits.float().softmax(-1).cpu().numpy()
        result: Float32Array = shares[: len(images), self._columns].sum(axis=1, dtype=np.float32)
        return result


def _says_generated(name: str, label: str | None) -> bool:
    if label is not None:
        return name.strip().lower() in {one.strip().lower() for one in label.split(",")}
    found = [word.lower() for word in _CLASS_WORD.findall(name)]
    return not _GENERATED.isdisjoint(found) and "not" not in found and "non" not in found


class HubCaptioner:
    """An image-to-text model such as BLIP, greedy, one image at a time."""

    def __init__(self, name: str, device: str = "cpu", threads: int = 1) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._model = checkpoint.model("AutoModelForImageTextToText")
        self._processor = checkpoint.load("AutoProcessor")
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        self._device = device

    def caption(self, images: Sequence[bytes]) -> Sequence[str | None]:
        """See `schemas.protocols.Captioner`; raises UndecodableError where a file is no image."""
        import torch

        captions: list[str | None] = []
        for data in images:
            picture = decode(data, _NO_LIMIT).picture
            inputs = self._processor(images=picture, return_tensors="pt").to(self._device)
            with torch.inference_mode():
                tokens = self._model.generate(**inputs, max_new_tokens=_CAPTION_TOKENS, do_sample=False, num_beams=1)
            text = self._processor.batch_decode(tokens, skip_special_tokens=True)[0]
            captions.append(" ".join(text.split()) or None)
        return captions
