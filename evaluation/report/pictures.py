"""Small pictures for a page: JPEGs of our own, so that no file of a benchmark or of the web is passed on."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence

from evaluation.report.cases import Case
from evaluation.task import ImageFile

_MAX_PIXELS = 80_000_000
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError)

#: Files of images → those that are there, with their bytes, their regions cut out.
ReadImages = Callable[[Sequence[ImageFile]], Iterable[tuple[ImageFile, bytes]]]


def pictures(cases: Iterable[Case], read: ReadImages, side: int = 220) -> dict[ImageFile, str]:
    """Data addresses of the images that cases show, those apart that are not there or cannot be decoded."""
    wanted: dict[ImageFile, None] = {}
    for case in cases:
        files = (case.image, *(one.image for one in (*case.first, *case.right)))
        wanted |= dict.fromkeys(file for file in files if file is not None)
    shown = {}
    for file, data in read(list(wanted)):
        address = thumbnail(data, side)
        if address is not None:
            shown[file] = address
    return shown


def thumbnail(data: bytes, side: int) -> str | None:
    """A JPEG of at most `side` pixels as a data address; None for what cannot be shown."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            if image.format == "JPEG":
                image.draft("RGB", (side * 2, side * 2))
            layered = ImageOps.exif_transpose(image).convert("RGBA")
            paper = Image.new("RGBA", layered.size, (255, 255, 255, 255))
            small = Image.alpha_composite(paper, layered).convert("RGB")
            small.thumbnail((side, side))
            sink = io.BytesIO()
            small.save(sink, "JPEG", quality=82, optimize=True)
    except _BROKEN:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()
