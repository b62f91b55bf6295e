"""How pictures are varied where towers are trained.

Texts of triplets speak of what pictures show: of colours, of left and right, of things at the edge. `crop` keeps all
of that; `strong` does not, and is there for comparison and for data whose texts say nothing of the kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

#: A picture and a generator to a varied picture.
Augmentation = Callable[[Image.Image, np.random.Generator], Image.Image]

#: Side of the pictures for which SimCLR's blur was chosen, in pixels.
_BLURRED_SIDE = 224


def augmentation(kind: Literal["none", "crop", "strong"]) -> Augmentation | None:
    """The augmentation of a setting; None for none."""
    return {"none": None, "crop": crop, "strong": strong}[kind]


def crop(picture: Image.Image, draw: np.random.Generator) -> Image.Image:
    """80 to 100% of the area, in nearly the picture's own ratio of sides, a tenth lighter or darker and with a tenth
    more or less contrast. Hue, saturation, left and right stay as they are."""
    area, ratio = draw.uniform(0.8, 1.0), math.exp(draw.uniform(-0.1, 0.1))
    width = min(picture.width, round(picture.width * math.sqrt(area * ratio)))
    height = min(picture.height, round(picture.height * math.sqrt(area / ratio)))
    varied = _cut(picture, width, height, draw)
    varied = ImageEnhance.Brightness(varied).enhance(draw.uniform(0.9, 1.1))
    return ImageEnhance.Contrast(varied).enhance(draw.uniform(0.9, 1.1))


def strong(picture: Image.Image, draw: np.random.Generator) -> Image.Image:
    """SimCLR's set (arXiv 2002.05709, appendix A) at strength 1: 8 to 100% of the area with sides of 3:4 to 4:3, a flip
    in half of the cases, brightness, contrast, saturation and hue in four of five, grey in one of five, blur in half.

    The part is not resized: towers do that. The blur grows with the picture, so that it looks the same when they have.
    """
    varied = _cut(picture, *_part(picture, draw), draw)
    if draw.random() < 0.5:
        varied = ImageOps.mirror(varied)
    if draw.random() < 0.8:
        varied = _jittered(varied, draw)
    if draw.random() < 0.2:
        varied = ImageOps.grayscale(varied).convert("RGB")
    if draw.random() < 0.5:
        radius = draw.uniform(0.1, 2.0) * min(varied.size) / _BLURRED_SIDE
        varied = varied.filter(ImageFilter.GaussianBlur(radius))
    return varied


def _part(picture: Image.Image, draw: np.random.Generator) -> tuple[int, int]:
    """Width and height of a part; the whole picture where no part of ten fits into it."""
    for _ in range(10):
        area = draw.uniform(0.08, 1.0) * picture.width * picture.height
        ratio = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if width <= picture.width and height <= picture.height:
            return width, height
    return picture.size


def _cut(picture: Image.Image, width: int, height: int, draw: np.random.Generator) -> Image.Image:
    """A part of this size, of at least a pixel, somewhere in the picture."""
    width, height = max(1, width), max(1, height)
    left = int(draw.integers(picture.width - width + 1))
    top = int(draw.integers(picture.height - height + 1))
    return picture.crop((left, top, left + width, top + height))


def _jittered(picture: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Colours changed in an order of chance."""
    factors = draw.uniform(0.2, 1.8, 3)
    shift = int(draw.integers(-51, 52))
    for turn in draw.permutation(4):
        if turn == 3:
            picture = _hue_shifted(picture, shift)
        else:
            enhancer = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[turn]
            picture = enhancer(picture).enhance(float(factors[turn]))
    return picture


def _hue_shifted(picture: Image.Image, shift: int) -> Image.Image:
    """All hues moved by `shift` of 256 steps around the circle."""
    hue, saturation, value = picture.convert("HSV").split()
    moved = hue.point([(one + shift) % 256 for one in range(256)])
    return Image.merge("HSV", (moved, saturation, value)).convert("RGB")
