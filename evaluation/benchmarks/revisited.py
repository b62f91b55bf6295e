"""Revisited Oxford and Paris (Radenović et al., CVPR 2018): mAP and mP@k for easy, medium and hard.

Junk images are deleted from the ranking, AP is the trapezoid under the curve, queries without positives are left out.
Easy: easy against all but junk and hard. Medium: easy and hard. Hard: hard against all but junk and easy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.benchmarks.files import count_notes, once, read_json
from evaluation.embeddings import shown
from evaluation.metrics import precision_until_last, trapezoid_average_precision
from evaluation.ranking import Places
from evaluation.safe_pickle import read_pickle
from evaluation.task import Box, ImageFile, IntArray, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

#: What counts, and what is deleted, for each level.
LEVELS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
_OTHER = {"roxford": "paris", "rparis": "oxford"}
_PUBLISHED = {"roxford": {"queries": 70, "images": 4993}, "rparis": {"queries": 70, "images": 6322}}


class Revisited:
    """The benchmarks `roxford` and `rparis`."""

    protocols = ("official",)
    splits = ("test",)

    def __init__(self, name: str) -> None:
        self.name = name

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`gnd*.pkl`, or the same structure as `gnd*.json`."""
        path = _ground_truth(root, self.name)
        found = read_json(path, dict) if path.suffix == ".json" else read_pickle(path)
        images, queries, truths = _checked(path, found)
        parts = []
        for level, (counted, deleted) in LEVELS.items():
            chosen = [number for number, one in enumerate(truths) if any(one[name] for name in counted)]
            if chosen:
                parts.append(_part(level, chosen, queries, images, truths, counted, deleted))
        if not parts:
            raise ConfigurationError(f"{path} has no query with a positive image.")
        counts = {"queries": len(queries), "images": len(images)}
        return Task(
            self.name,
            protocol,
            split,
            tuple(parts),
            ignorable_queries=frozenset(queries),
            notes=count_notes(counts, _PUBLISHED[self.name]),
        )


def _part(
    level: str,
    chosen: list[int],
    queries: Sequence[str],
    images: Sequence[str],
    truths: Sequence[dict[str, Any]],
    counted: Sequence[str],
    deleted: Sequence[str],
) -> Part:
    def union(number: int, names: Sequence[str]) -> IntArray:
        return np.unique(np.array([one for name in names for one in truths[number][name]], np.int64))

    def query_input(number: int) -> QueryInput:
        box = truths[chosen[number]]["bbx"]
        return QueryInput(_image(queries[chosen[number]], Box(*box) if box else None))

    relevant = [union(number, counted) for number in chosen]
    # An image that is named on both sides counts.
    excluded = [np.setdiff1d(union(number, deleted), one) for number, one in zip(chosen, relevant, strict=True)]
    return Part(
        level,
        [queries[number] for number in chosen],
        images,
        relevant,
        _measure(level),
        excluded=excluded,
        query_input=query_input,
        gallery_image=_image,
    )


def _measure(level: str) -> Callable[[int, Places], Values]:
    def measure(number: int, places: Places) -> Values:
        found = {f"{level}/mAP": trapezoid_average_precision(places.ranks, len(places.items))}
        return found | {f"{level}/mP@{k}": precision_until_last(places.ranks, k) for k in (1, 5, 10)}

    return measure


def _ground_truth(root: Path, name: str) -> Path:
    """The one file `gnd*.pkl` or `gnd*.json` that is not the other benchmark's."""
    folders = (root, *sorted(root.glob(f"{name}*")), *sorted(root.glob(f"datasets/{name}*")))
    found = [path for folder in folders for path in sorted(folder.glob("gnd*")) if path.suffix in (".pkl", ".json")]
    found = [path for path in found if _OTHER[name] not in path.name.lower()]
    named = [path for path in found if name in path.name.lower()] or found
    # The same ground truth may lie there in both forms.
    if not named or len({path.stem for path in named}) > 1:
        what = f"several: {shown(path.name for path in named)}" if named else "none"
        raise ConfigurationError(f"{root} must hold one gnd*.pkl or gnd*.json of {name}, it holds {what}.")
    return named[0]


def _checked(path: Path, found: Any) -> tuple[tuple[str, ...], list[str], list[dict[str, Any]]]:
    if not isinstance(found, dict) or not all(isinstance(found.get(one), list) for one in ("imlist", "qimlist", "gnd")):
        raise ConfigurationError(f"{path} must hold the lists imlist, qimlist and gnd.")
    images, queries, truths = found["imlist"], found["qimlist"], found["gnd"]
    if not all(isinstance(one, str) for one in (*images, *queries)):
        raise ConfigurationError(f"{path}: imlist and qimlist must hold names.")
    if len(truths) != len(queries):
        raise ConfigurationError(f"{path}: {len(queries)} queries in qimlist, but {len(truths)} entries in gnd.")
    once(path, images)
    once(path, queries)
    return tuple(images), queries, [_truth(path, number, one, len(images)) for number, one in enumerate(truths)]


def _truth(path: Path, number: int, entry: Any, size: int) -> dict[str, Any]:
    lists = {}
    for name in ("easy", "hard", "junk"):
        ids = entry.get(name, []) if isinstance(entry, dict) else None
        if not isinstance(ids, list) or not all(float(one).is_integer() and 0 <= one < size for one in ids):
            raise ConfigurationError(f"{path}, gnd {number}: {name!r} must list numbers of imlist, 0 to {size - 1}.")
        lists[name] = [int(one) for one in ids]
    box = entry.get("bbx")
    if box is not None and not (isinstance(box, list) and len(box) == 4):
        raise ConfigurationError(f"{path}, gnd {number}: 'bbx' must hold four numbers.")
    return lists | {"bbx": box}


def _image(name: str, box: Box | None = None) -> ImageFile:
    return ImageFile(tuple(f"{folder}{name}{suffix}" for folder in ("", "jpg/") for suffix in (".jpg", "")), box)
