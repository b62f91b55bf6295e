"""GPR1200 (Schall et al., MMM 2022): every image is a query among all of them and stays in its own ranking.

`mAP` over the images of the query's category, itself included. The authors' program scores by plain inner products: it
does not normalise. On the whole set the means of its six subsets stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.benchmarks.files import count_notes, find_optional, lines, open_gallery
from evaluation.embeddings import shown
from evaluation.metrics import average_precision
from evaluation.ranking import Places
from evaluation.task import ImageFile, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

#: Subsets of 200 categories each, in the order of their numbers.
SUBSETS = ("landmarks", "inat", "sketch", "instre", "sop", "faces")
_CATEGORIES, _IMAGES = 1200, 12_000
_NAME = re.compile(r"(?:.*/)?(\d+)_[^/]*")


class Gpr1200:
    """The benchmark `gpr1200`."""

    name = "gpr1200"
    protocols = ("official",)
    splits = ("all",)

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`files.txt`, one name a line; without it the names are those of the embeddings."""
        listed = find_optional(root, "files.txt")
        names = lines(listed) if listed else open_gallery(self.name, held)
        odd = [name for name in names if not _NAME.fullmatch(name)]
        if odd:
            raise ConfigurationError(f"names that are not CATEGORY_ORIGINAL.jpg: {shown(odd)}.")
        # By category alone, so that images of one keep the order of the list.
        gallery = tuple(sorted(names, key=_category))
        categories = [_category(name) for name in gallery]
        members: dict[int, list[int]] = {}
        for number, category in enumerate(categories):
            members.setdefault(category, []).append(number)
        arrays = {category: np.array(found, np.int64) for category, found in members.items()}
        whole = len(gallery) == _IMAGES and sorted(members) == list(range(_CATEGORIES))

        def measure(number: int, places: Places) -> Values:
            found = {"mAP": average_precision(places.ranks, len(places.items))}
            if whole:
                found[f"{SUBSETS[categories[number] // 200]}/mAP"] = found["mAP"]
            return found

        part = Part(
            "all",
            gallery,
            gallery,
            [arrays[one] for one in categories],
            measure,
            query_input=lambda number: QueryInput(_image(gallery[number])),
            gallery_image=_image,
        )
        counts = {"images": len(gallery), "categories": len(members)}
        published = {"images": _IMAGES, "categories": _CATEGORIES}
        return Task(
            self.name,
            protocol,
            split,
            (part,),
            notes=count_notes(counts, published),
            similarity="dot",
            queries_are_gallery=True,
        )


def _category(name: str) -> int:
    return int(name.rpartition("/")[2].partition("_")[0])


def _image(name: str) -> ImageFile:
    return ImageFile((name, f"images/{name}"))
