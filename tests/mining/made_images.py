"""Image files made on the spot: of every format, and broken in every way."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(width: int = 80, height: int = 60, seed: int = 0) -> Image.Image:
    """A smooth colour pattern, never twice the same for two seeds."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animation(kind: str) -> bytes:
    frames = [picture(seed=seed) for seed in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)


def png(width: int, height: int, pixels: bytes, *chunks: tuple[bytes, bytes], mode: int = 0) -> bytes:
    """A PNG of 8-bit grey written by hand, so that its header may lie; `chunks` go between header and pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), *[chunk(*one) for one in chunks], chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def png_bomb(side: int) -> bytes:
    """A square PNG whose pixels are all zero: some 1,000 times larger decoded than as a file."""
    deflate = zlib.compressobj(9)
    row = bytes(side + 1)
    body = b"".join(deflate.compress(row) for _ in range(side))
    return png(side, side, body + deflate.flush())
