"""Domain transfer on ImageNet-R (Pic2Word, Saito et al., CVPR 2023): a photo and the name of a style lead to images of
that class in that style.

The gallery holds all four styles and the 10,000 photos that are also the queries; nothing is taken out. `pic2word`: the
share of all positives among the first k, over all queries, those without any positive too (they score 0).
`magiclens`: whether any positive is among the first k.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.benchmarks.files import count_notes, find, labelled_lines
from evaluation.metrics import hit, recall
from evaluation.ranking import Places
from evaluation.task import ImageFile, IntArray, Part, QueryInput, Task, Values

DOMAINS = ("cartoon", "origami", "toy", "sculpture")
_FOLDERS = ("", "imgnet/", "data/imgnet/")
_PUBLISHED = {"photos": 10_000, "images": 16_983}
_CUTS = (10, 50)
#: Added to the number of positives in Pic2Word's program.
_EPSILON = 1e-5


class Dtin:
    """The benchmark `dtin`."""

    name = "dtin"
    protocols = ("pic2word", "magiclens")
    splits = ("all",)

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`imgnet_real_query.txt` and `imgnet_targets.txt`; a target's label is 1000 * domain + class."""
        photos = labelled_lines(find(root, *(folder + "imgnet_real_query.txt" for folder in _FOLDERS)))
        targets = labelled_lines(find(root, *(folder + "imgnet_targets.txt" for folder in _FOLDERS)))
        by_label: dict[int, list[int]] = {}
        for number, (_, label) in enumerate(targets):
            by_label.setdefault(label, []).append(number)
        arrays = {label: np.array(found, np.int64) for label, found in by_label.items()}
        none = np.zeros(0, np.int64)
        relevant: list[IntArray] = [
            arrays.get(1000 * domain + label, none) for domain in range(len(DOMAINS)) for _, label in photos
        ]
        hits = protocol == "magiclens"

        def measure(number: int, places: Places) -> Values:
            domain = DOMAINS[number // len(photos)]
            if hits:
                return {f"{domain}/hit@{k}": hit(places.ranks, k) for k in _CUTS}
            count = len(places.items) + _EPSILON
            return {f"{domain}/R@{k}": recall(places.ranks, count, k) for k in _CUTS}

        def query_input(number: int) -> QueryInput:
            fields = {"domain": DOMAINS[number // len(photos)]}
            return QueryInput(_image(photos[number % len(photos)][0]), fields)

        part = Part(
            "all",
            [f"{domain}/{path}" for domain in DOMAINS for path, _ in photos],
            tuple(path for path, _ in targets),
            relevant,
            measure,
            query_input=query_input,
            gallery_image=_image,
        )
        kind = "hit" if hits else "R"
        averages = {f"average/{kind}@{k}": tuple(f"{one}/{kind}@{k}" for one in DOMAINS) for k in _CUTS}
        counts = {"photos": len(photos), "images": len(targets)}
        return Task(self.name, protocol, split, (part,), averages, notes=count_notes(counts, _PUBLISHED))


def _image(path: str) -> ImageFile:
    return ImageFile((path, path.removeprefix("imgnet/")))
