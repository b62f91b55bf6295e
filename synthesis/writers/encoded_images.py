"""The images of a request, decoded within limits for models in this process."""

from __future__ import annotations

from PIL import Image, ImageOps

from schemas.image_files import opened

_WHITE = (255, 255, 255, 255)


def decode_image(data: bytes) -> Image.Image:
    """An encoded image file as RGB over white, upright. Raises BrokenImageError."""
    with opened(data) as image:
        upright = ImageOps.exif_transpose(image)
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layered = upright.convert("RGBA")
        page = Image.new("RGBA", layered.size, _WHITE)
        page.alpha_composite(layered)
        return page.convert("RGB")
