"""What is known of an image from its bytes: size, hashes, features, label, safety, caption; and texts' embeddings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mining.decoding import Decoded, UndecodableError, decode, square, stretched
from mining.hashing import flatness, perceptual_hash
from mining.sketches import sketches
from schemas.ids import text_id
from schemas.outcomes import Outcomes
from schemas.protocols import Captioner, ImageEncoder, SafetyScorer, TextEncoder

_SAFETY_SIDE = 256


class AnnotateConfig(BaseModel):
    """Settings of `annotate_images`: which models look at images, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_model: str = Field(
        default="efficientnet-lite0",
        description="'efficientnet-lite0' (in a package), or name or folder of a CLIP-like model of transformers",
    )
    text_model: str = Field(
        default="all-MiniLM-L6-v2",
        description="'all-MiniLM-L6-v2' (in a package), or name or folder of a CLIP-like model of transformers",
    )
    safety_model: Literal["open_nsfw"] | None = Field(default="open_nsfw", description="safety model; null for none")
    caption_model: str | None = Field(
        default=None, description="name or folder of an image-to-text model of transformers; null for no captions"
    )
    device: str = Field(
        default="cpu", description="where models of transformers run: cpu, cuda, cuda:1 …; others run on the CPU"
    )
    max_pixels: int = Field(default=80_000_000, gt=0, description="pixels of an image, at most")
    batch: int = Field(default=16, ge=1, description="images in one call of a model")
    threads: int = Field(default=1, ge=1, description="threads of one model", json_schema_extra={"operational": True})


@dataclass(frozen=True)
class AnnotationModels:
    """The models of a configuration."""

    images: ImageEncoder
    texts: TextEncoder
    safety: SafetyScorer | None
    captioner: Captioner | None

    @property
    def names(self) -> str:
        """Names and revisions of what looks at images, as tables hold them."""
        parts = [self.images, self.safety, self.captioner]
        return "; ".join(f"{one.name} ({one.revision})" for one in parts if one is not None)


_loaded: dict[str, AnnotationModels] = {}
_lock = threading.Lock()


def load_models(config: AnnotateConfig) -> AnnotationModels:
    """The models of a configuration, loaded once a process. Raises MissingPackageError, ConfigurationError."""
    key = config.model_dump_json()
    with _lock:
        if key not in _loaded:
            _loaded[key] = AnnotationModels(
                _image_encoder(config), load_text_encoder(config), _safety(config), _captioner(config)
            )
        return _loaded[key]


def _image_encoder(config: AnnotateConfig) -> ImageEncoder:
    if config.image_model == "efficientnet-lite0":
        from mining.models.efficientnet import EfficientNetLite0

        return EfficientNetLite0(config.threads)
    from mining.models.hub import HubImageEncoder

    return HubImageEncoder(config.image_model, None, config.device, config.batch)


def load_text_encoder(config: AnnotateConfig) -> TextEncoder:
    """The text model alone."""
    if config.text_model == "all-MiniLM-L6-v2":
        from mining.models.minilm import MiniLM

        return MiniLM(config.threads)
    from mining.models.hub import HubTextEncoder

    return HubTextEncoder(config.text_model, None, config.device)


def _safety(config: AnnotateConfig) -> SafetyScorer | None:
    if config.safety_model is None:
        return None
    from mining.models.open_nsfw import OpenNsfw

    return OpenNsfw(config.threads)


def _captioner(config: AnnotateConfig) -> Captioner | None:
    if config.caption_model is None:
        return None
    from mining.models.hub import HubCaptioner

    return HubCaptioner(config.caption_model, None, config.device)


def annotate(
    images: Iterable[tuple[str, str, bytes]],
    config: AnnotateConfig,
    models: AnnotationModels,
    outcomes: Outcomes,
    *,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> None:
    """Annotate distinct images (id, address, file): unit `image`, rows of `annotations`.

    Rejected as `not_an_image`, `too_many_pixels`, `truncated`, `undecodable`; failed with the quarantine's reason.
    """
    decoded = _decoded(images, config, outcomes, mark, quarantine)
    while batch := list(islice(decoded, config.batch)):
        for row in _rows(batch, models):
            outcomes.row("annotations", row)
            outcomes.kept("image")


def _decoded(
    images: Iterable[tuple[str, str, bytes]],
    config: AnnotateConfig,
    outcomes: Outcomes,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> Iterator[tuple[str, bytes, Decoded]]:
    for image_id, url, data in images:
        outcomes.entered("image")
        if image_id in quarantine:
            outcomes.failed("image", quarantine[image_id], id=image_id, url=url, detail="its decoder died")
            continue
        mark(image_id)
        try:
            yield image_id, data, decode(data, config.max_pixels)
        except UndecodableError as error:
            outcomes.rejected("image", error.reason, id=image_id, url=url, detail=str(error))


def _rows(batch: list[tuple[str, bytes, Decoded]], models: AnnotationModels) -> Iterator[dict[str, Any]]:
    pictures = [one.picture for _, _, one in batch]
    crops = np.stack([square(picture, models.images.resize, models.images.crop) for picture in pictures])
    features, labels, label_scores = models.images.encode(crops)
    unsafe = None
    if models.safety is not None:
        unsafe = models.safety.score(np.stack([stretched(picture, _SAFETY_SIDE) for picture in pictures]))
    captions = models.captioner.caption([data for _, data, _ in batch]) if models.captioner is not None else None
    small = sketches(features)
    for index, (image_id, _, one) in enumerate(batch):
        yield {
            "image_id": image_id,
            "width": one.width,
            "height": one.height,
            "format": one.format,
            "animated": one.animated,
            "phash": perceptual_hash(one.picture),
            "flatness": flatness(one.picture),
            "label": labels[index],
            "label_score": round(float(label_scores[index]), 4) if labels[index] is not None else None,
            "nsfw": round(float(unsafe[index]), 4) if unsafe is not None else None,
            "caption": captions[index] if captions is not None else None,
            "features": features[index].astype(np.float16),
            "sketch": small[index].tobytes(),
            "models": models.names,
        }


def embed_texts(texts: Iterable[str], config: AnnotateConfig, models: AnnotationModels, outcomes: Outcomes) -> None:
    """Embed distinct texts: unit `text`, rows of `texts`."""
    remaining = iter(texts)
    while batch := list(islice(remaining, config.batch)):
        outcomes.entered("text", len(batch))
        for text, vector in zip(batch, models.texts.encode(batch), strict=True):
            outcomes.row("texts", {"text_id": text_id(text), "text": text, "embedding": vector.astype(np.float16)})
        outcomes.kept("text", len(batch))
