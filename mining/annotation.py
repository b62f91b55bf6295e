"""What is known of an image from its bytes: size, hashes, features, pattern, label, safety, caption, signs that a model
made it; and texts' embeddings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from mining.annotate_config import LOCAL_IMAGES, LOCAL_TEXTS, AnnotateConfig
from mining.decoding import UndecodableError, decode, square, stretched
from mining.generated_images import generated_by
from mining.hashing import flatness, grey, perceptual_hash
from mining.sketches import sketches
from schemas.ids import text_id
from schemas.outcomes import Outcomes
from schemas.protocols import (
    Captioner,
    GeneratedScorer,
    ImageEncoder,
    PatternEncoder,
    SafetyScorer,
    TextEncoder,
    UInt8Array,
)

__all__ = [
    "AnnotateConfig",
    "AnnotationModels",
    "annotate",
    "embed_texts",
    "load_image_encoder",
    "load_models",
    "load_text_encoder",
]

_SAFETY_SIDE = 256


@dataclass(frozen=True)
class AnnotationModels:
    """The models of a configuration."""

    images: ImageEncoder
    texts: TextEncoder
    safety: SafetyScorer | None
    captioner: Captioner | None
    detector: GeneratedScorer | None = None
    pattern: PatternEncoder | None = None

    @property
    def names(self) -> str:
        """Names and revisions of what looks at images, and of what reads their captions, each once, as tables hold
        them."""
        reader = self.texts if self.captioner is not None else None
        parts = [self.images, self.safety, self.captioner, self.detector, self.pattern, reader]
        return "; ".join(dict.fromkeys(f"{one.name} ({one.revision})" for one in parts if one is not None))


_loaded: dict[str, AnnotationModels] = {}
_lock = threading.Lock()


def load_models(config: AnnotateConfig) -> AnnotationModels:
    """The models of a configuration, loaded once a process. Raises MissingPackageError, ConfigurationError."""
    key = config.model_dump_json()
    with _lock:
        if key not in _loaded:
            _loaded[key] = AnnotationModels(
                load_image_encoder(config),
                load_text_encoder(config),
                _safety(config),
                _captioner(config),
                _detector(config),
                _pattern(config),
            )
        return _loaded[key]


def load_image_encoder(config: AnnotateConfig) -> ImageEncoder:
    """The image model alone."""
    if config.image_model == LOCAL_IMAGES:
        from mining.models.efficientnet import EfficientNetLite0

        return EfficientNetLite0(config.threads)
    from mining.models.hub import HubImageEncoder

    return HubImageEncoder(config.image_model, config.device, config.batch, config.threads)


def load_text_encoder(config: AnnotateConfig) -> TextEncoder:
    """The text model alone."""
    if config.text_model == LOCAL_TEXTS:
        from mining.models.minilm import MiniLM

        return MiniLM(config.threads)
    from mining.models.hub import HubTextEncoder

    return HubTextEncoder(config.text_model, config.device, config.batch, config.threads)


def _safety(config: AnnotateConfig) -> SafetyScorer | None:
    if config.safety_model is None:
        return None
    from mining.models.open_nsfw import OpenNsfw

    return OpenNsfw(config.threads)


def _captioner(config: AnnotateConfig) -> Captioner | None:
    if config.caption_model is None:
        return None
    from mining.models.hub import HubCaptioner

    return HubCaptioner(config.caption_model, config.device, config.threads)


def _detector(config: AnnotateConfig) -> GeneratedScorer | None:
    if config.generated_model is None:
        return None
    from mining.models.hub import HubGeneratedScorer

    return HubGeneratedScorer(
        config.generated_model, config.generated_label, config.device, config.batch, config.threads
    )


def _pattern(config: AnnotateConfig) -> PatternEncoder | None:
    if config.pattern_model is None:
        return None
    from mining.models.hub import HubPatternEncoder

    return HubPatternEncoder(config.pattern_model, config.device, config.batch, config.threads)


@dataclass(frozen=True)
class _Seen:
    """What is kept of a decoded image until its batch is full: never the picture, which may be huge."""

    row: dict[str, Any]
    crop: UInt8Array
    stretched: UInt8Array | None
    detected: UInt8Array | None
    pattern: UInt8Array | None
    data: bytes | None


def annotate(
    images: Iterable[tuple[str, str, bytes]],
    config: AnnotateConfig,
    models: AnnotationModels,
    outcomes: Outcomes,
    *,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> None:
    """Annotate distinct images (id, address, file): unit `image`, rows of `annotations` in the images' order.

    Rejected as `not_an_image`, `vector_image`, `too_many_pixels`, `truncated`, `undecodable`; failed as
    `out_of_memory` or with the quarantine's reason. An empty mark says that models are at work, no decoder.
    """
    seen = _look(images, config, models, outcomes, mark, quarantine)
    while batch := list(islice(seen, config.batch)):
        mark("")
        for row in _rows(batch, models, mark):
            outcomes.row("annotations", row)
            outcomes.kept("image")


def _look(
    images: Iterable[tuple[str, str, bytes]],
    config: AnnotateConfig,
    models: AnnotationModels,
    outcomes: Outcomes,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> Iterator[_Seen]:
    for image_id, url, data in images:
        outcomes.entered("image")
        if image_id in quarantine:
            outcomes.failed("image", quarantine[image_id], id=image_id, url=url, detail="its decoder died or hung")
            continue
        mark(image_id)
        try:
            yield _seen(image_id, data, config, models)
        except UndecodableError as error:
            outcomes.rejected("image", error.reason, id=image_id, url=url, detail=str(error))
        except MemoryError:
            outcomes.failed("image", "out_of_memory", id=image_id, url=url, detail=f"file of {len(data)} bytes")


def _seen(image_id: str, data: bytes, config: AnnotateConfig, models: AnnotationModels) -> _Seen:
    image = decode(data, config.max_pixels)
    shades = grey(image.picture)
    row = {
        "image_id": image_id,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "animated": image.animated,
        "phash": perceptual_hash(shades),
        "flatness": flatness(shades),
        "generated": generated_by(data),
    }
    return _Seen(
        row,
        square(image.picture, models.images.resize, models.images.crop),
        stretched(image.picture, _SAFETY_SIDE) if models.safety is not None else None,
        _view(image.picture, models.detector) if models.detector is not None else None,
        _view(image.picture, models.pattern) if models.pattern is not None else None,
        data if models.captioner is not None else None,
    )


def _view(picture: Image.Image, model: GeneratedScorer | PatternEncoder) -> UInt8Array:
    if model.resize is None:
        return stretched(picture, model.crop)
    return square(picture, model.resize, model.crop)


def _rows(batch: Sequence[_Seen], models: AnnotationModels, mark: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    features, labels, label_scores = models.images.encode(np.stack([one.crop for one in batch]))
    unsafe = None
    if models.safety is not None:
        unsafe = models.safety.score(np.stack([one.stretched for one in batch if one.stretched is not None]))
    made = None
    if models.detector is not None:
        made = models.detector.score(np.stack([one.detected for one in batch if one.detected is not None]))
    patterns = None
    if models.pattern is not None:
        patterns = sketches(models.pattern.encode(np.stack([one.pattern for one in batch if one.pattern is not None])))
    captions = list(_captions(batch, models.captioner, mark))
    said = [caption for caption in captions if caption is not None]
    told = iter(sketches(models.texts.encode(said)) if said else ())
    small = sketches(features)
    names = models.names
    for index, one in enumerate(batch):
        caption, label = captions[index], labels[index]
        yield one.row | {
            "label": label,
            "label_score": round(float(label_scores[index]), 4) if label is not None else None,
            "nsfw": round(float(unsafe[index]), 4) if unsafe is not None else None,
            "caption": caption,
            "generated_score": round(float(made[index]), 4) if made is not None else None,
            "features": features[index].astype(np.float16),
            "sketch": small[index].tobytes(),
            "pattern_sketch": patterns[index].tobytes() if patterns is not None else None,
            "caption_sketch": next(told).tobytes() if caption is not None else None,
            "models": names,
        }


def _captions(batch: Sequence[_Seen], captioner: Captioner | None, mark: Callable[[str], None]) -> Iterator[str | None]:
    for one in batch:
        if captioner is None or one.data is None:
            yield None
        else:
            # A captioner may take seconds for each image: the mark says that it is not stuck.
            mark("")
            yield captioner.caption([one.data])[0]


def embed_texts(texts: Iterable[str], config: AnnotateConfig, models: AnnotationModels, outcomes: Outcomes) -> None:
    """Embed distinct texts: unit `text`, rows of `texts` in the texts' order."""
    remaining = iter(texts)
    while batch := list(islice(remaining, config.batch)):
        outcomes.entered("text", len(batch))
        for text, vector in zip(batch, models.texts.encode(batch), strict=True):
            outcomes.row("texts", {"text_id": text_id(text), "text": text, "embedding": vector.astype(np.float16)})
        outcomes.kept("text", len(batch))
