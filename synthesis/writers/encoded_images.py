"""The images of a request, decoded within limits for models in this process."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps

from schemas.image_files import BROKEN, FORMATS

_MAX_PIXELS = 80_000_000
_WHITE = (255, 255, 255, 255)


class BadImageError(ValueError):
    """A file of which no picture can be made."""


def decode_image(data: bytes) -> Image.Image:
    """An encoded image file as RGB over white, upright. Raises BadImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise BadImageError(f"{image.width} x {image.height} pixels")
                upright = ImageOps.exif_transpose(image)
                if not upright.has_transparency_data:
                    return upright.convert("RGB")
                layered = upright.convert("RGBA")
                page = Image.new("RGBA", layered.size, _WHITE)
                page.alpha_composite(layered)
                return page.convert("RGB")
    except BadImageError:
        raise
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise BadImageError(type(error).__name__) from error
