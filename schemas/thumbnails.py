"""Images of the web to small JPEGs of our own: no file of a stranger is passed on, and none is decoded whole."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from functools import lru_cache

from PIL import Image, ImageOps, ImageStat

from schemas.image_files import BrokenImageError, opened

_WHITE, _GREY = (255, 255, 255, 255), (108, 114, 122, 255)
#: Mean grey level from which on a picture with clear parts would not be seen on white.
_LIGHT = 235
#: JPEG quality of what models are sent.
_SENT = 90


def thumbnail(data: bytes, side: int, quality: int = 82) -> str | None:
    """A JPEG of at most `side` pixels as a data address; None for what cannot be shown."""
    small = scaled(data, side, quality)
    return None if small is None else "data:image/jpeg;base64," + base64.b64encode(small).decode()


def scaled(data: bytes, side: int, quality: int) -> bytes | None:
    """A JPEG of at most `side` pixels, transparent parts laid on a ground; None for what cannot be shown."""
    try:
        with opened(data) as image:
            return _small(image, side, quality)
    except BrokenImageError:
        return None


class ScaledImages:
    """Image ids and the longer side in pixels to JPEG files as models are sent them, in their order. The last ones are
    kept: neighbouring requests show the same. Raises ValueError for one that cannot be had or decoded."""

    def __init__(self, read: Callable[[str], bytes], kept: int = 128) -> None:
        """`read`: the file of an image by its id; raises ValueError where there is none."""
        self._read = read
        self._one = lru_cache(maxsize=kept)(self._scaled)

    def __call__(self, image_ids: Sequence[str], side: int) -> list[bytes]:
        return [self._one(image_id, side) for image_id in image_ids]

    def _scaled(self, image_id: str, side: int) -> bytes:
        small = scaled(self._read(image_id), side, _SENT)
        if small is None:
            raise ValueError(f"{image_id} cannot be decoded")
        return small


def _small(image: Image.Image, side: int, quality: int) -> bytes:
    if image.format == "JPEG":
        image.draft("RGB", (side * 2, side * 2))
    # Palettes are read first: their numbers are no colours that could be averaged.
    picture = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGBA")
    picture.thumbnail((side * 2, side * 2))
    layered = ImageOps.exif_transpose(picture).convert("RGBA")
    page = Image.new("RGBA", layered.size, _ground(layered))
    page.alpha_composite(layered)
    small = page.convert("RGB")
    small.thumbnail((side, side))
    sink = io.BytesIO()
    small.save(sink, "JPEG", quality=quality, optimize=True)
    return sink.getvalue()


def _ground(layered: Image.Image) -> tuple[int, int, int, int]:
    """What to lay a picture over: white, as pages are, unless a white drawing would vanish on it."""
    opacity = layered.getchannel("A")
    lowest, highest = opacity.getextrema()
    if lowest == 255 or highest == 0:
        return _WHITE
    return _GREY if ImageStat.Stat(layered.convert("L"), opacity).mean[0] >= _LIGHT else _WHITE
