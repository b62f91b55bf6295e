"""CIRCO (Baldrati et al., ICCV 2023): mAP@k over all ground truths, recall on the target alone, semantic aspects.

The reference stays in the gallery. The test split's targets are with the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.benchmarks.files import (
    Numbers,
    count_notes,
    find,
    find_optional,
    once,
    open_gallery,
    read_entries,
    read_json,
    value,
)
from evaluation.benchmarks.files import values as list_of
from evaluation.metrics import average_precision
from evaluation.ranking import Places
from evaluation.task import ImageFile, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

_INFO = "image_info_unlabeled2017.json"
_PUBLISHED = {"val": {"queries": 220}, "test": {"queries": 800}}
_CUTS = (5, 10, 25, 50)


class Circo:
    """The benchmark `circo`."""

    name = "circo"
    protocols = ("official",)
    splits = ("val", "test")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`annotations/SPLIT.json`, and COCO's list of unlabeled images where it is there."""
        path = find(root, f"annotations/{split}.json", f"{split}.json")
        entries = read_entries(path)
        places = ("COCO2017_unlabeled/annotations/", "annotations/", "")
        listed = find_optional(root, *(place + _INFO for place in places))
        gallery = _gallery(listed) if listed else open_gallery(self.name, held)
        numbers = Numbers(gallery, str(listed or "the embeddings"))
        ids = once(path, [str(value(path, number, one, "id", int)) for number, one in enumerate(entries)])
        for number, entry in enumerate(entries):
            value(path, number, entry, "relative_caption", str)
            numbers.of([str(value(path, number, entry, "reference_img_id", int))], path)
        known = any("gt_img_ids" in entry for entry in entries)
        truths = [_truths(path, number, entry) for number, entry in enumerate(entries)] if known else []
        relevant = [numbers.of(one, path) for one in truths]
        targets = [int(one[0]) for one in relevant]
        aspects = [_aspects(path, number, entry) for number, entry in enumerate(entries)]
        part = Part(
            "all",
            ids,
            gallery,
            relevant if known else None,
            lambda number, places: _measure(places, targets[number], aspects[number]),
            query_input=lambda number: _query_input(entries[number]),
            gallery_image=_image,
        )
        counts = {"queries": len(entries)} | ({"images": len(gallery)} if listed else {})
        published = _PUBLISHED[split] | {"images": 123_403}
        return Task(self.name, protocol, split, (part,), notes=count_notes(counts, published))


def _gallery(path: Path) -> tuple[str, ...]:
    images = value(path, "images", read_json(path, dict), "images", list)
    ids = [str(value(path, number, one, "id", int)) for number, one in enumerate(images)]
    return tuple(once(path, ids))


def _truths(path: Path, number: int, entry: dict[str, Any]) -> list[str]:
    """Ground truths, the target first: recall is about the target alone."""
    target = value(path, number, entry, "target_img_id", int)
    found = list_of(path, number, entry, "gt_img_ids", int)
    if target not in found:
        raise ConfigurationError(f"{path}, entry {number}: 'gt_img_ids' lacks the target {target}.")
    return [str(one) for one in dict.fromkeys([target, *found])]


def _aspects(path: Path, number: int, entry: dict[str, Any]) -> list[str]:
    return list_of(path, number, entry, "semantic_aspects", str) if "semantic_aspects" in entry else []


def _measure(places: Places, target: int, aspects: Sequence[str]) -> Values:
    count = len(places.items)
    found = {f"mAP@{k}": average_precision(places.ranks, count, k) for k in _CUTS}
    own = int(np.flatnonzero(places.items == target)[0])
    ranks = np.array([places.ranks[0, own], places.at_least[own], places.greater[own] + 1])
    found |= {f"recall@{k}": (ranks <= k).astype(np.float64) for k in _CUTS}
    return found | {f"aspect/{one}/mAP@10": found["mAP@10"] for one in aspects}


def _query_input(entry: dict[str, Any]) -> QueryInput:
    fields = {"caption": entry["relative_caption"], "shared_concept": str(entry.get("shared_concept", ""))}
    return QueryInput(_image(str(entry["reference_img_id"])), fields)


def _image(one: str) -> ImageFile:
    name = f"{int(one):012d}.jpg"
    return ImageFile((name, f"unlabeled2017/{name}", f"COCO2017_unlabeled/unlabeled2017/{name}"))
