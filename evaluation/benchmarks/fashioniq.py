"""FashionIQ (Wu et al., CVPR 2021): R@10 and R@50 for each category and their plain means, in four protocols.

`original`: the gallery is the split file and the reference stays in it; all zero-shot papers. `val`: the gallery is the
union of candidates and targets, without the query's reference (TG-CIR and others). `cosmo-full` and `cosmo-val`: split
file or union, without the reference, and two queries an annotation, one for each order of its captions (CoSMo).
Fine-FashionIQ and Refined-FashionIQ have the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks.files import Numbers, count_notes, find, find_optional, once, read_entries, read_json, value
from evaluation.benchmarks.files import values as list_of
from evaluation.metrics import found_within
from evaluation.task import ImageFile, Part, QueryInput, Task
from schemas.errors import ConfigurationError

CATEGORIES = ("dress", "shirt", "toptee")
_PUBLISHED = {
    "dress queries": 2017,
    "shirt queries": 2038,
    "toptee queries": 1961,
    "dress images in the split": 3817,
    "shirt images in the split": 6346,
    "toptee images in the split": 5373,
}


class FashionIQ:
    """The benchmark `fashioniq`."""

    name = "fashioniq"
    protocols = ("original", "val", "cosmo-full", "cosmo-val")
    splits = ("val", "train", "test")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`captions/cap.CATEGORY.SPLIT.json`, and `image_splits/split.CATEGORY.SPLIT.json` unless the gallery is the
        union."""
        parts: list[Part] = []
        counts: dict[str, int] = {}
        queries: set[str] = set()
        images: set[str] = set()
        for category in CATEGORIES:
            path = find(root, f"captions/cap.{category}.{split}.json", f"cap.{category}.{split}.json")
            entries = read_entries(path)
            names = (f"image_splits/split.{category}.{split}.json", f"split.{category}.{split}.json")
            union = protocol in ("val", "cosmo-val")
            listed = find_optional(root, *names) if union else find(root, *names)
            part = _part(category, protocol, path, entries, listed)
            parts.append(part)
            counts[f"{category} queries"] = len(entries)
            images.update(part.gallery)
            if listed is not None:
                split_ids = _split(listed)
                counts[f"{category} images in the split"] = len(split_ids)
                images.update(f"{category}/{one}" for one in split_ids)
            images.update(f"{category}/{entry['candidate']}" for entry in entries)
            for number in range(len(entries)):
                queries |= {f"{category}/{number}{order}" for order in ("", "/0", "/1")}
        averages = {f"average/R@{k}": tuple(f"{one}/R@{k}" for one in CATEGORIES) for k in (10, 50)}
        return Task(
            self.name,
            protocol,
            split,
            tuple(parts),
            averages,
            frozenset(queries),
            frozenset(images),
            count_notes(counts, _PUBLISHED if split == "val" else {}),
        )


def _split(path: Path) -> list[str]:
    names = read_json(path, list)
    if not all(isinstance(one, str) for one in names):
        raise ConfigurationError(f"{path} must be a list of image names.")
    return once(path, names)


def _part(category: str, protocol: str, path: Path, entries: list[dict[str, Any]], listed: Path | None) -> Part:
    for number, entry in enumerate(entries):
        value(path, number, entry, "candidate", str)
        if len(list_of(path, number, entry, "captions", str)) < (2 if "cosmo" in protocol else 1):
            raise ConfigurationError(f"{path}, entry {number}: 'captions' holds too few captions.")
    known = any("target" in entry for entry in entries)
    targets = [value(path, number, entry, "target", str) for number, entry in enumerate(entries)] if known else []
    if protocol in ("val", "cosmo-val"):
        named = dict.fromkeys([*(entry["candidate"] for entry in entries), *targets])
        # The order of the split file, where there is one, so that ties fall as they do in the other protocols.
        ordered = [one for one in _split(listed) if one in named] if listed else []
        names = list(dict.fromkeys([*ordered, *named]))
    else:
        assert listed is not None
        names = _split(listed)
    numbers = Numbers(names, str(listed or path))
    orders = ("/0", "/1") if "cosmo" in protocol else ("",)
    references = [numbers.of([entry["candidate"]], path) for entry in entries]
    relevant = [numbers.of([target], path) for target in targets]

    def query_input(number: int) -> QueryInput:
        entry = entries[number // len(orders)]
        first, second = (entry["captions"] * 2)[:2]
        if number % len(orders):
            first, second = second, first
        return QueryInput(_image(entry["candidate"]), {"caption1": first, "caption2": second})

    return Part(
        category,
        [f"{category}/{number}{order}" for number in range(len(entries)) for order in orders],
        tuple(f"{category}/{one}" for one in names),
        [one for one in relevant for _ in orders] if known else None,
        measure_targets=lambda ranks: {f"{category}/R@{k}": found_within(ranks, k) for k in (10, 50)},
        excluded=None if protocol == "original" else [one for one in references for _ in orders],
        query_input=query_input,
        gallery_image=lambda one: _image(one.partition("/")[2]),
    )


def _image(name: str) -> ImageFile:
    return ImageFile(tuple(f"{folder}{name}.{suffix}" for folder in ("", "images/") for suffix in ("jpg", "png")))
