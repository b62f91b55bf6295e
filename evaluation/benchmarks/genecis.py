"""GeneCIS (Vaze et al., CVPR 2023): four tasks, each query with a gallery of its own, target first.

R@1, R@2, R@3 for each task; `average/R@1` is the plain mean of the four. A gallery that lists its target again has an
exact tie by construction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.benchmarks.files import Numbers, count_notes, find, read_entries, value
from evaluation.metrics import found_within
from evaluation.task import Box, ImageFile, Part, QueryInput, Task
from schemas.errors import ConfigurationError

TASKS = ("focus_attribute", "change_attribute", "focus_object", "change_object")
_PUBLISHED = {
    "focus_attribute queries": 2000,
    "change_attribute queries": 2112,
    "focus_object queries": 1960,
    "change_object queries": 1960,
}
#: Share of its size by which the authors grow the box of an attribute task.
_DILATION = 0.7


class GeneCis:
    """The benchmark `genecis`."""

    name = "genecis"
    protocols = ("official",)
    splits = ("v0",)

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`focus_attribute.json`, `change_attribute.json`, `focus_object.json`, `change_object.json`."""
        parts, references, counts = [], set(), {}
        for task in TASKS:
            path = find(root, f"{task}.json", f"genecis/{task}.json")
            entries = read_entries(path)
            parts.append(_part(task, path, entries))
            references |= {_id(path, task, number, entry, "reference") for number, entry in enumerate(entries)}
            counts[f"{task} queries"] = len(entries)
        return Task(
            self.name,
            protocol,
            split,
            tuple(parts),
            {"average/R@1": tuple(f"{one}/R@1" for one in TASKS)},
            ignorable_gallery=frozenset(references),
            notes=count_notes(counts, _PUBLISHED),
        )


def _part(task: str, path: Path, entries: list[dict[str, Any]]) -> Part:
    lists: list[list[str]] = []
    images: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        value(path, number, entry, "condition", str)
        items = [_item(path, number, entry, "target"), *_items(path, number, entry)]
        ids = [_item_id(task, item) for item in items]
        lists.append(ids)
        images.update(zip(ids, items, strict=True))
    gallery = tuple(images)
    numbers = Numbers(gallery, str(path))
    first = np.zeros(1, np.int64)

    def query_input(number: int) -> QueryInput:
        entry = entries[number]
        return QueryInput(_image(entry["reference"]), {"caption": entry["condition"]})

    return Part(
        task,
        [f"{task}/{number}" for number in range(len(entries))],
        gallery,
        [first] * len(entries),
        measure_targets=lambda ranks: {f"{task}/R@{k}": found_within(ranks, k) for k in (1, 2, 3)},
        candidates=[numbers.of(ids, path) for ids in lists],
        query_input=query_input,
        gallery_image=lambda one: _image(images[one]),
    )


def _items(path: Path, number: int, entry: dict[str, Any]) -> list[dict[str, Any]]:
    found = value(path, number, entry, "gallery", list)
    return [_item(path, number, {"gallery": one}, "gallery") for one in found]


def _item(path: Path, number: int, entry: dict[str, Any], key: str) -> dict[str, Any]:
    item: dict[str, Any] = value(path, number, entry, key, dict)
    box = item.get("instance_bbox")
    boxed = isinstance(box, list) and len(box) == 4 and all(isinstance(one, int | float) for one in box)
    if "val_image_id" not in item and not ("image_id" in item and boxed):
        raise ConfigurationError(
            f"{path}, entry {number}: {key!r} must hold val_image_id, or image_id and instance_bbox."
        )
    return item


def _id(path: Path, task: str, number: int, entry: dict[str, Any], key: str) -> str:
    return _item_id(task, _item(path, number, entry, key))


def _item_id(task: str, item: dict[str, Any]) -> str:
    if "val_image_id" in item:
        return f"{task}/{item['val_image_id']}"
    return f"{task}/{item['image_id']}:{json.dumps(item['instance_bbox'])}"


def _image(item: dict[str, Any]) -> ImageFile:
    if "val_image_id" in item:
        name = f"{int(item['val_image_id']):012d}.jpg"
        return ImageFile((name, f"val2017/{name}"))
    left, top, width, height = item["instance_bbox"]
    name = f"{item['image_id']}.jpg"
    box = Box(left, top, left + width, top + height, _DILATION)
    return ImageFile((name, f"VG_100K/{name}", f"VG_100K_2/{name}", f"VG_All/{name}"), box)
