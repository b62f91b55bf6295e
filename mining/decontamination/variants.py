"""The forms of a benchmark's image under which a copy of it may come: as it is, mirrored, and cut, either way."""

from __future__ import annotations

from PIL import Image

#: Side of a cut over the whole side, and where it lies: 0 is left or top, 1 right or bottom.
_CUTS = (
    (0.95, 0.5, 0.5),
    (0.9, 0.5, 0.5),
    (0.9, 0.0, 0.0),
    (0.9, 0.0, 1.0),
    (0.9, 1.0, 0.0),
    (0.9, 1.0, 1.0),
)
#: Variants in their order: the first two are the image and its mirror image, uncut.
NAMES = tuple(
    f"{mirror}{'whole' if cut is None else 'cut {:g} at {:g} {:g}'.format(*cut)}"
    for cut in (None, *_CUTS)
    for mirror in ("", "mirrored ")
)
#: Of these some are the picture uncut.
UNCUT = 2


def variants(shades: Image.Image) -> list[Image.Image]:
    """A picture's variants in the order of `NAMES`."""
    found = []
    for cut in (None, *_CUTS):
        one = shades if cut is None else _cut(shades, *cut)
        found += [one, one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    return found


def _cut(picture: Image.Image, side: float, across: float, down: float) -> Image.Image:
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, top = round((picture.width - width) * across), round((picture.height - height) * down)
    return picture.crop((left, top, left + width, top + height))
