"""How image files of strangers are opened: what is read, and what is caught."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

#: Formats of the web. Pillow reads others by programs and parsers that no stranger's file should reach (EPS starts
#: Ghostscript).
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "JPEG2000", "PPM")
#: What Pillow raises on files that are broken in one way or another.
BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
#: Pixels of a picture that is shown or sent, at most.
_MAX_PIXELS = 80_000_000


class BrokenImageError(ValueError):
    """A file of which no picture can be made."""


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """An image file of at most 80 million pixels, to be read within the context. Raises BrokenImageError for whatever
    goes wrong in it: Pillow finds many faults only when pixels are wanted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise BrokenImageError(f"{image.width} x {image.height} pixels")
                yield image
    except BrokenImageError:
        raise
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise BrokenImageError(type(error).__name__) from error
