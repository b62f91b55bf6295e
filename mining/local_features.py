"""Local features of a picture: SIFT points (Lowe 2004) with root-SIFT descriptors (Arandjelović and Zisserman 2012).

SIFT was chosen by measuring (docs/instances.md): at equal bytes ORB finds as many planted objects and is quicker to
extract, but its three times as many points make each comparison of two pictures several times as dear, and a picture
is compared with many others.

All numbers are whole, so that features read from a table are those that were computed, and so that the products of
descriptors are exact in float32 in any order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from mining.decoding import decode
from schemas.errors import MissingPackageError
from schemas.protocols import Float32Array, UInt8Array

UInt16Array = npt.NDArray[np.uint16]

#: Side in pixels of the small picture that is kept beside the points.
THUMBNAIL = 48
#: Numbers of a descriptor.
DIMENSION = 128
#: Parts of a pixel, and of a turn, in which points are stored.
_PART, _TURN = 64.0, 65536.0
_HEADER = struct.Struct("<4sHHH")
_MAGIC = b"LSF1"


class LocalFeaturesConfig(BaseModel):
    """Settings of local features."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: int = Field(default=480, ge=64, le=1000, description="longer side in pixels to which pictures are shrunk")
    points: int = Field(
        default=400, ge=20, le=400, description="points of one image at most; 400 take 64 KB in a table"
    )
    contrast: float = Field(
        default=0.01, ge=0, lt=1, description="contrast of a point at least (SIFT); lower finds more on smooth pictures"
    )
    max_pixels: int = Field(default=80_000_000, gt=0, description="pixels of an image, at most")


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Local features of one picture.

    `width`, `height`: the picture's sides in pixels as the points were found in it. `points` uint16 (n, 4): x, y and
    diameter in 1/64 pixel, angle in 1/65536 turn (clockwise from the x axis). `descriptors` uint8 (n, 128): root-SIFT
    times 255. `thumbnail` uint8 (48, 48, 3): the whole picture, RGB, stretched. `plain` uint8 (48, 48): in each part of
    the picture the share, of 255, of pixels that equal their neighbours to the right and below in grey; drawn pictures
    and screens are plain between their lines, photographs are nowhere.
    """

    width: int
    height: int
    points: UInt16Array
    descriptors: UInt8Array
    thumbnail: UInt8Array
    plain: UInt8Array

    @property
    def places(self) -> Float32Array:
        """x and y in pixels: float32 (n, 2)."""
        return self.points[:, :2].astype(np.float32) / np.float32(_PART)

    @property
    def sizes(self) -> Float32Array:
        """Diameters in pixels: float32 (n)."""
        return self.points[:, 2].astype(np.float32) / np.float32(_PART)

    @property
    def angles(self) -> npt.NDArray[np.float64]:
        """Angles in radians: float64 (n)."""
        return self.points[:, 3].astype(np.float64) * (2.0 * np.pi / _TURN)

    def to_bytes(self) -> bytes:
        """The features as one value of a table: 63,626 bytes at 400 points."""
        header = _HEADER.pack(_MAGIC, self.width, self.height, len(self.points))
        arrays = (self.points.astype("<u2"), self.descriptors, self.thumbnail, self.plain)
        return b"".join([header, *(array.tobytes() for array in arrays)])

    @classmethod
    def from_bytes(cls, data: bytes) -> Features:
        """What `to_bytes` made. Raises ValueError on anything else."""
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise ValueError("these bytes are no local features")
        _, width, height, count = _HEADER.unpack_from(data)
        ends = np.cumsum([_HEADER.size, count * 8, count * DIMENSION, THUMBNAIL**2 * 3, THUMBNAIL**2])
        if len(data) != ends[-1]:
            raise ValueError(f"local features of {count} points take {ends[-1]} bytes, not {len(data)}")
        points = np.frombuffer(data[ends[0] : ends[1]], "<u2").astype(np.uint16).reshape(count, 4)
        descriptors = np.frombuffer(data[ends[1] : ends[2]], np.uint8).reshape(count, DIMENSION)
        thumbnail = np.frombuffer(data[ends[2] : ends[3]], np.uint8).reshape(THUMBNAIL, THUMBNAIL, 3)
        plain = np.frombuffer(data[ends[3] :], np.uint8).reshape(THUMBNAIL, THUMBNAIL)
        return cls(width, height, points, descriptors, thumbnail, plain)


def file_features(data: bytes, config: LocalFeaturesConfig) -> Features:
    """Features of an image file. Raises UndecodableError (see `mining.decoding.decode`), MissingPackageError."""
    return local_features(decode(data, config.max_pixels).picture, config)


def local_features(picture: Image.Image, config: LocalFeaturesConfig) -> Features:
    """Features of an RGB picture: the strongest points, strongest first. Raises MissingPackageError."""
    cv2 = _opencv()
    scale = min(1.0, config.side / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture if size == picture.size else picture.resize(size, Image.Resampling.BOX)
    finder = cv2.SIFT_create(nfeatures=config.points, contrastThreshold=config.contrast)
    grey = np.asarray(small.convert("L"))
    found, raw = finder.detectAndCompute(grey, None)
    thumbnail = np.asarray(small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    if raw is None:
        none = np.zeros((0, 4), np.uint16), np.zeros((0, DIMENSION), np.uint8)
        return Features(*size, *none, thumbnail, _plain(grey))
    points = _points(found)
    # Responses tie, and OpenCV keeps all that tie with the last one.
    keys = (*points.T[::-1], -np.array([one.response for one in found]))
    chosen = np.lexsort(keys)[: config.points]
    return Features(*size, points[chosen], _root_sift(raw[chosen]), thumbnail, _plain(grey))


def _points(found: Any) -> UInt16Array:
    parts = np.array([(*one.pt, one.size, one.angle) for one in found], np.float64)
    parts[:, :3] *= _PART
    parts[:, 3] = parts[:, 3] * (_TURN / 360.0) % _TURN
    return np.clip(np.round(parts), 0, _TURN - 1).astype(np.uint16)


def _plain(grey: UInt8Array) -> UInt8Array:
    equal = np.zeros(grey.shape, np.uint8)
    equal[:-1, :-1] = 255 * ((grey[1:, :-1] == grey[:-1, :-1]) & (grey[:-1, 1:] == grey[:-1, :-1]))
    return np.asarray(Image.fromarray(equal).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def _root_sift(descriptors: Float32Array) -> UInt8Array:
    """Square roots of the descriptors' shares: their cosine is the Hellinger kernel of SIFT."""
    values = descriptors.astype(np.float64)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1.0)
    return np.round(np.sqrt(shares) * 255.0).astype(np.uint8)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise MissingPackageError("opencv-python-headless", "mine", "the miner instances") from error
    # Threads are for the runner to hand out, and one thread adds up in one order.
    cv2.setNumThreads(1)
    module: ModuleType = cv2
    return module
