"""TU-Berlin, zero-shot sketch-based retrieval: photos of a sketch's class, in the 30 unseen classes of SAKE.

`voc`: average precision over the precision envelope (SAKE, ZSE-SBIR). `plain`: without it (sem-pcyc). `P@100` is hits
among the first 100 by 100; `P@100/min_positives` is precision at min(100, positives), as ZSE-SBIR has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.benchmarks.files import count_notes, find, labelled_lines
from evaluation.embeddings import shown
from evaluation.metrics import average_precision, precision, voc_average_precision
from evaluation.ranking import Places
from evaluation.task import ImageFile, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

_SKETCHES, _PHOTOS = "png_ready_filelist_zero.txt", "ImageResized_ready_filelist_zero.txt"
_FOLDERS = ("", "zeroshot/", "TUBerlin/zeroshot/", "dataset/TUBerlin/zeroshot/")
_PUBLISHED = {"sketches": 2400, "photos": 27_989}


class TuBerlin:
    """The benchmark `tuberlin`."""

    name = "tuberlin"
    protocols = ("voc", "plain")
    splits = ("zero",)

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`png_ready_filelist_zero.txt` (sketches) and `ImageResized_ready_filelist_zero.txt` (photos)."""
        path = find(root, *(folder + _SKETCHES for folder in _FOLDERS))
        sketches = labelled_lines(path)
        photos = labelled_lines(find(root, *(folder + _PHOTOS for folder in _FOLDERS)))
        classes: dict[int, list[int]] = {}
        for number, (_, label) in enumerate(photos):
            classes.setdefault(label, []).append(number)
        arrays = {label: np.array(found, np.int64) for label, found in classes.items()}
        lost = [name for name, label in sketches if label not in arrays]
        if lost:
            raise ConfigurationError(f"{path} names sketches of classes that have no photo: {shown(lost)}.")
        area = voc_average_precision if protocol == "voc" else average_precision

        def measure(number: int, places: Places) -> Values:
            count = len(places.items)
            return {
                "mAP@all": area(places.ranks, count),
                "mAP@200": area(places.ranks, count, 200),
                "P@100": precision(places.ranks, 100),
                "P@100/min_positives": precision(places.ranks, min(100, count)),
            }

        part = Part(
            "all",
            [name for name, _ in sketches],
            tuple(name for name, _ in photos),
            [arrays[label] for _, label in sketches],
            measure,
            query_input=lambda number: QueryInput(_image(sketches[number][0])),
            gallery_image=_image,
        )
        counts = {"sketches": len(sketches), "photos": len(photos)}
        return Task(self.name, protocol, split, (part,), notes=count_notes(counts, _PUBLISHED))


def _image(path: str) -> ImageFile:
    return ImageFile((path, path.partition("/")[2] or path))
