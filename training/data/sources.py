"""What loader workers make inputs of: images, features that are there already, and how pictures are varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.augmentation import Augmentation
from training.data.feature_store import FeatureStore
from training.data.image_store import ImageStore, picture
from training.data.string_table import StringTable


@dataclass(frozen=True)
class Sources:
    """Images by number, and where a tower is frozen its features of them and of texts."""

    images: ImageStore
    image_features: FeatureStore | None = None
    text_features: FeatureStore | None = None
    text_index: StringTable | None = None
    augment: Augmentation | None = None
    #: Features of other models by name, such as a teacher's.
    others: Mapping[str, FeatureStore] = field(default_factory=dict)

    def pictures(self, numbers: Sequence[int], draw: np.random.Generator | None) -> list[Image.Image]:
        """RGB pictures; varied where a generator is given and an augmentation is set.

        Equal generators vary a picture in one way, whatever other pictures are asked for.
        """
        key = int(draw.integers(2**63)) if draw is not None else 0
        found: dict[int, Image.Image] = {}
        # In the order of the store, which so reads each of its row groups once.
        for number in sorted(set(numbers)):
            one = picture(self.images.file(number), self.images.describe(number))
            if self.augment is not None and draw is not None:
                one = self.augment(one, np.random.Generator(np.random.PCG64([key, number])))
            found[number] = one
        return [found[number] for number in numbers]

    def text_numbers(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Numbers of texts in `text_features`, int64 (n); -1 for those without, such as an objective makes of a
        batch."""
        assert self.text_index is not None
        return self.text_index.numbers(texts)
