"""Pictures of things in places: textured things of one seed put, turned and scaled, before textured walls."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw


def texture(width: int, height: int, seed: int) -> Image.Image:
    """Smooth colour noise of several sizes: corners and blobs everywhere, never twice the same for two seeds."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells, weight in ((6, 1.0), (14, 0.8), (40, 0.6)):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += weight * np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray((total / 2.4).astype(np.uint8))


def scene(
    thing: int, wall: int, centre: tuple[float, float] = (0.5, 0.5), side: int = 160, turn: float = 0.0
) -> Image.Image:
    """480 x 360 pixels: the round thing of a seed, `side` pixels wide, before the wall of another seed."""
    picture = texture(480, 360, 1000 + wall)
    shape = Image.new("L", (320, 320), 0)
    ImageDraw.Draw(shape).ellipse((0, 0, 319, 319), fill=255)
    body = texture(320, 320, thing)
    body, shape = (one.rotate(turn, Image.Resampling.BICUBIC).resize((side, side)) for one in (body, shape))
    corner = (round(centre[0] * 480 - side / 2), round(centre[1] * 360 - side / 2))
    picture.paste(body, corner, shape)
    return picture


def marks(width: int, height: int, count: int, seed: int, back: tuple[int, int, int]) -> Image.Image:
    """Small dark and grey bars on one colour, like letters and icons."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(picture)
    for _ in range(count):
        x, y = int(rng.integers(2, width - 12)), int(rng.integers(2, height - 10))
        shade = int(rng.integers(0, 120))
        draw.rectangle((x, y, x + int(rng.integers(2, 9)), y + int(rng.integers(2, 7))), fill=(shade, shade, shade))
    return picture


def screen(seed: int) -> Image.Image:
    """A window of 480 x 360 pixels: the same toolbar for all seeds, and text of its own."""
    picture = Image.new("RGB", (480, 360), (240, 240, 240))
    picture.paste(marks(300, 90, 60, 0, (225, 230, 240)), (90, 60))
    picture.paste(marks(420, 180, 100, seed, (255, 255, 255)), (30, 165))
    return picture


def area(box: tuple[float, float, float, float]) -> float:
    return box[2] * box[3]


def centre_of(box: tuple[float, float, float, float]) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def near(first: tuple[float, float], second: tuple[float, float], within: float) -> bool:
    return math.dist(first, second) <= within
