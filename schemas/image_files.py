"""How image files of strangers are opened: what is read, and what is caught."""

from __future__ import annotations

import struct
import zlib

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
