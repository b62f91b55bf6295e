"""What lies inside and around the matched part of two pictures: is it an object, and is the rest another scene?

Features of two pictures agree just as well where one is a crop of the other, where both are screens with the same
toolbar, or where the same sky hangs over two scenes. Numbers made from the small pictures beside the features tell
these apart (measured in docs/instances.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mining.geometric_verification import Agreement, moved
from mining.local_features import THUMBNAIL, Features

Float64Array = npt.NDArray[np.float64]
#: x, y, width, height as fractions of the picture.
Box = tuple[float, float, float, float]

DECIMALS = 4
#: The middle of a picture, where what it is about stands.
_MIDDLE = (0.2, 0.8)
#: Parts of the small pictures that must lie over each other before their likeness says anything.
_PARTS = 20


@dataclass(frozen=True, slots=True)
class Region:
    """The matched part of two pictures; all numbers are rounded to 4 decimals.

    `first_box`, `second_box`: around the points that agree. `frame_overlap`: area that both frames share over the area
    of both, once the first is laid onto the second by the transform; 1 where they coincide. `likeness`: correlation of
    the grey levels where they overlap, -1…1; high where one picture is the other, cut or recoloured. Of the two boxes:
    `plain`: the larger share of pixels that equal their neighbours; `entropy`: the smaller entropy of colours, in bits,
    0…9; `middle`: the larger share in the middle of the picture (or of the middle in the box, where it is the smaller);
    `area`: the smaller share of the picture.
    """

    first_box: Box
    second_box: Box
    frame_overlap: float
    likeness: float
    plain: float
    entropy: float
    middle: float
    area: float


def region(first: Features, second: Features, agreed: Agreement) -> Region:
    """The part of two pictures whose features agree, and its surroundings."""
    one, other = _box(first, agreed.first), _box(second, agreed.second)
    overlap, likeness = _overlay(first, second, agreed.transform)
    sides = ((first, one), (second, other))
    return Region(
        one,
        other,
        overlap,
        likeness,
        round(max(float(_inside(picture.plain, box).mean()) / 255.0 for picture, box in sides), DECIMALS),
        round(min(_entropy(_inside(picture.thumbnail, box)) for picture, box in sides), DECIMALS),
        round(max(_middle(one), _middle(other)), DECIMALS),
        round(min(one[2] * one[3], other[2] * other[3]), DECIMALS),
    )


def crop_region(
    whole: Features, part: Features, box: Box, second: Features, agreed: Agreement, through: Float64Array
) -> Region:
    """The part that a crop (`part`, the `box` of a picture) and another picture share. Where it stands, what it covers
    and the surroundings are told of the whole picture, or any close-up would be the same frame; colours and middle of
    the crop, in which the object is large. `through`: what `of_whole` made of the transform that agreed."""
    seen = region(part, second, agreed)
    first_box = within(seen.first_box, box)
    area = round(min(first_box[2] * first_box[3], seen.second_box[2] * seen.second_box[3]), DECIMALS)
    overlap, likeness = _overlay(whole, second, through, even=True)
    return replace(seen, first_box=first_box, frame_overlap=overlap, likeness=likeness, area=area)


def of_whole(transform: Float64Array, whole: Features, part: Features, box: Box) -> Float64Array:
    """A transform of the pixels of a crop as one of the pixels of the whole picture, float64 (2, 3)."""
    x, y, width, height = box
    sizes = np.array([part.width / width, part.height / height], np.float64)
    turn = transform[:, :2] * (sizes / [whole.width, whole.height])
    return np.column_stack([turn, transform[:, 2] - transform[:, :2] @ (sizes * [x, y])])


def within(inner: Box, outer: Box) -> Box:
    """A box of a crop as a box of the picture from which `outer` was cut."""
    x, y, width, height = (
        round(value, DECIMALS)
        for value in (
            outer[0] + inner[0] * outer[2],
            outer[1] + inner[1] * outer[3],
            inner[2] * outer[2],
            inner[3] * outer[3],
        )
    )
    return x, y, width, height


def _box(picture: Features, indices: npt.NDArray[np.intp]) -> Box:
    """Around the points' circles, within the picture."""
    places, radii = picture.places[indices].astype(np.float64), picture.sizes[indices].astype(np.float64) / 2.0
    # Coarse points are wider than the thing they stand on.
    radius = float(np.median(radii))
    frame = np.array([picture.width, picture.height], np.float64)
    low = np.clip((places.min(axis=0) - radius) / frame, 0.0, 1.0)
    high = np.clip((places.max(axis=0) + radius) / frame, 0.0, 1.0)
    x, y, width, height = (round(float(value), DECIMALS) for value in (*low, *(high - low)))
    return x, y, width, height


def _overlay(first: Features, second: Features, transform: Float64Array, even: bool = False) -> tuple[float, float]:
    """Overlap of the frames and likeness there, the first picture laid onto the second. `even`: parts of the second
    that lie in one part of the first count once, by their mean; of a small crop's picture there are many."""
    centres = (np.arange(THUMBNAIL) + 0.5) / THUMBNAIL
    x, y = np.meshgrid(centres * second.width, centres * second.height)
    turn = np.linalg.inv(transform[:, :2])
    back = np.column_stack([turn, -turn @ transform[:, 2]])
    places = moved(back, np.column_stack([x.ravel(), y.ravel()])) / [first.width, first.height]
    inside = ((places >= 0.0) & (places < 1.0)).all(axis=1)
    area = first.width * first.height * float(np.linalg.det(transform[:, :2])) / (second.width * second.height)
    shared = float(inside.mean())
    overlap = min(1.0, shared / max(1.0 + area - shared, 1e-9))
    if inside.sum() < _PARTS:
        return round(overlap, DECIMALS), 0.0
    columns, rows = (places[inside] * THUMBNAIL).astype(np.intp).T
    parts, greys = rows * THUMBNAIL + columns, second.thumbnail.reshape(-1, 3)[inside].mean(axis=1)
    if even:
        parts, members, counts = np.unique(parts, return_inverse=True, return_counts=True)
        greys = np.bincount(members, greys) / counts
        if len(parts) < _PARTS:
            return round(overlap, DECIMALS), 0.0
    return round(overlap, DECIMALS), _correlation(first.thumbnail.reshape(-1, 3)[parts].mean(axis=1), greys)


def _correlation(first: Float64Array, second: Float64Array) -> float:
    first, second = first - first.mean(), second - second.mean()
    length = float(np.sqrt(np.sum(first * first) * np.sum(second * second)))
    return round(float(np.sum(first * second)) / length, DECIMALS) if length > 0 else 0.0


def _inside(small: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """The part of a small picture that a box touches, at least one pixel."""
    x, y, width, height = box
    left, top = (min(int(value * THUMBNAIL), THUMBNAIL - 1) for value in (x, y))
    right, bottom = (int(np.ceil(round(value * THUMBNAIL, 6))) for value in (x + width, y + height))
    return small[top : max(bottom, top + 1), left : max(right, left + 1)]


def _entropy(pixels: npt.NDArray[np.uint8]) -> float:
    """Of colours in 8 x 8 x 8 bins, in bits."""
    bins = (pixels >> 5).reshape(-1, 3).astype(np.intp) @ [64, 8, 1]
    shares = np.bincount(bins) / len(bins)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log2(shares)))


def _middle(box: Box) -> float:
    """Share of a box in the middle of the picture, or of the middle in the box, whichever is larger."""
    low, high = _MIDDLE
    x, y, width, height = box
    across = max(0.0, min(x + width, high) - max(x, low))
    down = max(0.0, min(y + height, high) - max(y, low))
    smaller = min(width * height, (high - low) ** 2)
    return across * down / smaller if smaller > 0 else 0.0
