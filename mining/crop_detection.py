"""Images to the crops of their objects: boxes by a detector, and sketches by which they are searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from mining.decoding import UndecodableError, decode
from mining.object_crops import ObjectCropsConfig, chosen_boxes, crop_pixels
from mining.sketches import sketches
from schemas.outcomes import Outcomes
from schemas.protocols import ImageEncoder, ObjectDetector, UInt8Array


@dataclass(frozen=True)
class CropModels:
    """What looks at crops: the detector, and the encoder of whole images, `batch` crops at a time; files are decoded
    up to `max_pixels`."""

    detector: ObjectDetector
    encoder: ImageEncoder
    batch: int
    max_pixels: int


@dataclass(frozen=True)
class _Seen:
    """A crop until its batch is full."""

    row: dict[str, Any]
    pixels: UInt8Array


def image_crops(
    images: Iterable[tuple[str, bytes]],
    models: CropModels,
    config: ObjectCropsConfig,
    outcomes: Outcomes,
    *,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """Rows of `crops` of distinct images (id, file), in the images' order; crops whose features are all zero, or not
    finite, can be compared with nothing and are left out.

    Unit `image`: kept where it could be looked at, whatever was seen. Rejected with the reasons of `decode`; failed as
    `out_of_memory` or with the quarantine's reason."""
    seen = _seen(images, models, config, outcomes, mark, quarantine)
    while batch := list(islice(seen, models.batch)):
        mark("")
        features = models.encoder.encode(np.stack([one.pixels for one in batch]))[0]
        for one, sketch in zip(batch, sketches(features), strict=True):
            if sketch.any():
                yield one.row | {"sketch": sketch.tobytes()}


def _seen(
    images: Iterable[tuple[str, bytes]],
    models: CropModels,
    config: ObjectCropsConfig,
    outcomes: Outcomes,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> Iterator[_Seen]:
    for image_id, data in images:
        outcomes.entered("image")
        if image_id in quarantine:
            outcomes.failed("image", quarantine[image_id], id=image_id, detail="its decoder died or hung")
            continue
        mark(image_id)
        try:
            found = _looked_at(image_id, data, models, config)
        except UndecodableError as error:
            outcomes.rejected("image", error.reason, id=image_id, detail=str(error))
        except MemoryError:
            outcomes.failed("image", "out_of_memory", id=image_id, detail=f"file of {len(data)} bytes")
        else:
            outcomes.kept("image")
            yield from found


def _looked_at(image_id: str, data: bytes, models: CropModels, config: ObjectCropsConfig) -> Sequence[_Seen]:
    """The crops of one image, cut from the picture as it is decoded: of a large JPEG that is a smaller one."""
    [objects] = models.detector.detect([data])
    if not objects:
        return []
    picture = decode(data, models.max_pixels).picture
    return [
        _Seen(
            {"image_id": image_id, "number": number, "box": one.box, "label": one.label, "score": one.score},
            crop_pixels(picture, one.box, models.encoder),
        )
        for number, one in enumerate(chosen_boxes(objects, *picture.size, config))
    ]
