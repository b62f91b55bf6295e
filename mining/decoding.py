"""Image files to pixels, within limits: one decoding for hashes, models and thumbnails."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from schemas.protocols import UInt8Array

#: What Pillow raises on files that are broken in one way or another.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)
#: JPEGs are decoded at a reduced scale as long as both sides keep so many pixels.
_DRAFT = 512


class UndecodableError(ValueError):
    """No picture can be made of the file: `reason` is the snake_case reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """A picture in RGB over white, upright, its first frame; `width` and `height` are those of the file, upright."""

    picture: Image.Image
    width: int
    height: int
    format: str
    animated: bool


def decode(data: bytes, max_pixels: int) -> Decoded:
    """Decode an image file. Raises UndecodableError: `not_an_image`, `too_many_pixels`, `truncated`, `undecodable`."""
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > max_pixels:
                raise UndecodableError("too_many_pixels", f"{image.width} x {image.height}")
            return _decoded(image)
    except UndecodableError:
        raise
    except UnidentifiedImageError as error:
        raise UndecodableError("not_an_image", "no known format") from error
    except _BROKEN as error:
        cut = "truncated" in str(error).lower()
        raise UndecodableError("truncated" if cut else "undecodable", f"{type(error).__name__}: {error}") from error


def _decoded(image: ImageFile.ImageFile) -> Decoded:
    size, kind = image.size, image.format or ""
    animated = bool(getattr(image, "is_animated", False))
    if animated:
        image.seek(0)
    if kind == "JPEG":
        image.draft("RGB", (_DRAFT, _DRAFT))
    image.load()
    upright = ImageOps.exif_transpose(image)
    turned = upright.size != image.size
    width, height = size[::-1] if turned else size
    return Decoded(_over_white(upright), width, height, kind, animated)


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit grey to white; its high byte is the picture.
        values = np.asarray(image).astype(np.int64)
        shift = 8 if values.max(initial=0) > 255 else 0
        return Image.fromarray((values >> shift).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        span = float(values.max() - values.min()) or 1.0
        return Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        page = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(page, layered).convert("RGB")
    return image.convert("RGB")


def square(picture: Image.Image, resize: int, crop: int) -> UInt8Array:
    """The short side brought to `resize` (bicubic), then the middle `crop` x `crop`: uint8 (crop, crop, 3)."""
    scale = resize / min(picture.size)
    size = (max(crop, round(picture.width * scale)), max(crop, round(picture.height * scale)))
    left, top = (size[0] - crop) // 2, (size[1] - crop) // 2
    # Resizing only what the crop shows: a banner of 20000 x 100 would otherwise become a huge picture.
    box = (
        left * picture.width / size[0],
        top * picture.height / size[1],
        (left + crop) * picture.width / size[0],
        (top + crop) * picture.height / size[1],
    )
    return np.asarray(picture.resize((crop, crop), Image.Resampling.BICUBIC, box=box))


def stretched(picture: Image.Image, side: int) -> UInt8Array:
    """The whole picture stretched to a square (bilinear): uint8 (side, side, 3)."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))
