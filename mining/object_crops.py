"""Crops of the objects that a detector saw: which are worth a search, and their pixels for an image encoder.

IDMR (Instance-Driven Multimodal Image Retrieval) crops an object and looks for it in other scenes; a crop's embedding
is searched among those of whole images, and what is found is a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mining.decoding import square
from mining.windows import Window
from schemas.protocols import Detection, Float32Array, ImageEncoder, UInt8Array
from schemas.settings import settings_digest

Box = tuple[float, float, float, float]


class ObjectCropsConfig(BaseModel):
    """Settings of the crops of objects: the detector, which of its boxes are searched, and what is taken of what is
    found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: str | None = Field(
        default=None, description="NAME, NAME@REVISION or folder of a detector like DETR or YOLOS; null for none"
    )
    device: str = Field(default="cpu", description="where the detector runs: cpu, cuda, cuda:1 …")
    score_min: float = Field(default=0.7, ge=0, le=1, description="score of a detection, at least")
    area_min: float = Field(default=0.02, ge=0, le=1, description="share of the image that an object covers, at least")
    area_max: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="share of the image that an object covers, at most: more is the whole image",
    )
    side_min: int = Field(default=64, ge=1, description="pixels of a crop's shorter side, at least")
    overlap_max: float = Field(
        default=0.5, ge=0, le=1, description="area that two chosen boxes share over the area of both, at most"
    )
    count: int = Field(default=3, ge=1, description="crops of one image")
    verify: Literal["geometry", "none"] = Field(
        default="geometry",
        description="geometry: local features of the crop must agree with the image that was found; none: the window "
        "of similarities alone decides, and only the query has a box",
    )
    similarity_min: float | None = Field(
        default=None, ge=-1, le=1, description="similarity of a crop with the whole image that was found, at least"
    )
    similarity_max: float | None = Field(
        default=None, ge=-1, le=1, description="the same at most; above it the image is the crop, cut out and kept"
    )

    @model_validator(mode="after")
    def _bounds_are_open(self) -> ObjectCropsConfig:
        if self.area_min >= self.area_max:
            raise ValueError("area_min must lie below area_max")
        if self.verify == "none" and (self.similarity_min is None or self.similarity_max is None):
            raise ValueError("verify: none needs similarity_min and similarity_max: nothing else decides then")
        if self.window.low >= self.window.high:
            raise ValueError("similarity_min must lie below similarity_max")
        return self

    @property
    def window(self) -> Window:
        """The similarities of what is taken."""
        low, high = self.similarity_min, self.similarity_max
        return Window(-1.0 if low is None else low, 1.0 if high is None else high)

    @property
    def detection(self) -> str:
        """Digest of what decides the crops themselves, whatever is done with what is found."""
        taken = {"verify": "geometry", "similarity_min": None, "similarity_max": None}
        return settings_digest(self.model_copy(update=taken))


def chosen_boxes(
    detections: Sequence[Detection], width: int, height: int, config: ObjectCropsConfig
) -> list[Detection]:
    """Detections worth a search, best score first: sure, neither a speck nor all of the image (`width` x `height`
    pixels), apart from each other. Of labels that have none yet the best go first, so that the crops are spread."""
    fit = sorted(
        (one for one in detections if _fits(one, width, height, config)),
        key=lambda one: (-one.score, one.box, one.label),
    )
    chosen: list[Detection] = []
    for fresh in (True, False):
        for one in fit:
            if len(chosen) == config.count:
                break
            if fresh and any(one.label == other.label for other in chosen):
                continue
            if all(overlap(one.box, other.box) <= config.overlap_max for other in chosen):
                chosen.append(one)
    return sorted(chosen, key=lambda one: (-one.score, one.box, one.label))


def _fits(one: Detection, width: int, height: int, config: ObjectCropsConfig) -> bool:
    _, _, across, down = one.box
    return (
        one.score >= config.score_min
        and config.area_min <= across * down <= config.area_max
        and min(across * width, down * height) >= config.side_min
    )


def overlap(first: Box, second: Box) -> float:
    """Area that two boxes share over the area of both, 0…1."""
    across = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    down = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    shared = max(0.0, across) * max(0.0, down)
    both = first[2] * first[3] + second[2] * second[3] - shared
    return shared / both if both > 0 else 0.0


def edges(picture: Image.Image, box: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box in pixels of a picture, at least one apart."""
    left, top = int(box[0] * picture.width), int(box[1] * picture.height)
    left, top = min(left, picture.width - 1), min(top, picture.height - 1)
    right = min(max(left + 1, round((box[0] + box[2]) * picture.width)), picture.width)
    bottom = min(max(top + 1, round((box[1] + box[3]) * picture.height)), picture.height)
    return left, top, right, bottom


def crop(picture: Image.Image, box: Box) -> Image.Image:
    """The box's part of a picture, at least one pixel."""
    return picture.crop(edges(picture, box))


def crop_pixels(picture: Image.Image, box: Box, encoder: ImageEncoder) -> UInt8Array:
    """A crop as its own picture, as the encoder wants it: uint8 (side, side, 3)."""
    return square(crop(picture, box), encoder.resize, encoder.crop)


def crop_vectors(picture: Image.Image, boxes: Sequence[Box], encoder: ImageEncoder) -> Float32Array:
    """Features of the crops, float32 (n, dimension), comparable with those of whole images."""
    if not boxes:
        return np.zeros((0, encoder.dimension), np.float32)
    pixels: UInt8Array = np.stack([crop_pixels(picture, box, encoder) for box in boxes])
    return encoder.encode(pixels)[0]
