"""Fooling images: one image that scores high for many texts that have nothing to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class FoolingImage:
    """`hit_rate`: in percent of the `texts` that are unrelated to the image, how many it fools, that is, scores
    strictly higher for than every image that is right."""

    image: int
    hit_rate: float
    fooled: int
    texts: int


def fooling_images(
    scores: npt.ArrayLike, relevant: Sequence[Sequence[int]], candidates: Sequence[int] | None = None
) -> list[FoolingImage]:
    """Hit rates of the gallery's images, the worst first, equal rates by ascending index.

    `scores` n × m (texts by images); `relevant[i]` the images that are right for text i, of which one at least must
    be there; `candidates` restricts the images that are probed (made fooling images, say), all by default. An image
    that is right for every text has no unrelated ones: its rate is 0 of 0. Raises ValueError for shapes that do not
    fit, scores that are not finite, and texts without a right image in the gallery."""
    table = np.asarray(scores)
    if table.ndim != 2 or len(relevant) != len(table):
        raise ValueError(
            f"scores have shape {table.shape}, right images are given for {len(relevant)} texts; n × m and n fit."
        )
    fooled, texts = np.zeros(table.shape[1], np.int64), np.zeros(table.shape[1], np.int64)
    for text, indices in enumerate(relevant):
        row, right = table[text], list(indices)
        if not np.isfinite(row).all():
            raise ValueError(f"scores of text {text} hold a value that is NaN or infinite.")
        if not right or not 0 <= min(right) <= max(right) < len(row):
            raise ValueError(
                f"text {text} has the right images {right}; one at least, all below {len(row)}, are wanted."
            )
        unrelated = np.ones(len(row), dtype=bool)
        unrelated[right] = False
        texts += unrelated
        fooled += unrelated & (row > row[right].max())
    probed = range(table.shape[1]) if candidates is None else candidates
    found = [
        FoolingImage(
            image=image,
            hit_rate=100 * int(fooled[image]) / int(texts[image]) if texts[image] else 0.0,
            fooled=int(fooled[image]),
            texts=int(texts[image]),
        )
        for image in probed
    ]
    return sorted(found, key=lambda one: (-one.hit_rate, one.image))
