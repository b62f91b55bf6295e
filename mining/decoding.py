"""Image files to pixels, within limits: one decoding for hashes, models and captions."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from schemas.image_files import BROKEN, FORMATS
from schemas.protocols import UInt8Array
from schemas.upright_pictures import orientation, upright

#: What Pillow says of files that end too early.
_CUT = ("truncated", "unexpected end", "not enough", "end of file", "ended prematurely")
#: JPEGs are decoded at a reduced scale as long as both sides keep so many pixels.
_DRAFT = 512
#: Where an SVG's root element stands, behind declarations and comments.
_HEAD = 4096


class UndecodableError(ValueError):
    """No picture can be made of the file: `reason` is the snake_case reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """A picture in RGB over white, upright, its first frame; `width` and `height` are those of the file, upright.

    The picture of a large JPEG is smaller than the file says: both sides keep 512 pixels where they had them."""

    picture: Image.Image
    width: int
    height: int
    format: str
    animated: bool


def decode(data: bytes, max_pixels: int) -> Decoded:
    """Decode an image file; its content decides the format, whatever its name or media type says.

    Raises UndecodableError: `not_an_image` (none of `FORMATS`), `vector_image`, `too_many_pixels`, `truncated`,
    `undecodable`.
    """
    # Pillow checks pictures inside containers (ICO, GIF frames) against this; above twice the limit it raises.
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max(1, max_pixels // 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decoded(Image.open(io.BytesIO(data), formats=FORMATS), max_pixels)
    except UndecodableError:
        raise
    except Image.DecompressionBombError as error:
        raise UndecodableError("too_many_pixels", str(error)) from error
    except UnidentifiedImageError as error:
        if b"<svg" in data[:_HEAD].lower():
            raise UndecodableError("vector_image", "SVG is not drawn") from error
        raise UndecodableError("not_an_image", "none of the formats that are read") from error
    except BROKEN as error:
        cut = any(sign in str(error).lower() for sign in _CUT)
        raise UndecodableError("truncated" if cut else "undecodable", f"{type(error).__name__}: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _decoded(image: ImageFile.ImageFile, max_pixels: int) -> Decoded:
    size = image.size
    if size[0] * size[1] > max_pixels:
        raise UndecodableError("too_many_pixels", f"{size[0]} x {size[1]}")
    # A multi-picture JPEG is a JPEG with previews or another eye's view behind it.
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    animated = kind != "JPEG" and bool(getattr(image, "is_animated", False))
    if animated:
        image.seek(0)
    if kind == "JPEG":
        image.draft("RGB", (_DRAFT, _DRAFT))
    image.load()
    if image.size != size and kind == "ICO":
        size = image.size
    width, height = size[::-1] if orientation(image) >= 5 else size
    return Decoded(upright(image), width, height, kind, animated)


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
