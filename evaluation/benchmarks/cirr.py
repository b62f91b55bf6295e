"""CIRR (Liu et al., ICCV 2021): recall over the whole split and within the set of six.

The reference is deleted from every ranking. `hard`: recall of `target_hard`, as papers and the test server report.
`soft`: the highest value of `target_soft` among the first k, as the authors' validation code has it; negative values
count as 0. Fine-CIRR and Refined-CIRR have the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.benchmarks.files import Numbers, count_notes, find, once, read_entries, read_json, value
from evaluation.benchmarks.files import values as list_of
from evaluation.metrics import Float64Array, best_value, found_within
from evaluation.ranking import Places
from evaluation.task import ImageFile, IntArray, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

_PUBLISHED = {"val": {"queries": 4181, "images": 2297}, "test1": {"queries": 4148, "images": 2315}}
RECALLS, SUBSET_RECALLS = (1, 5, 10, 50), (1, 2, 3)


class Cirr:
    """The benchmark `cirr`."""

    name = "cirr"
    protocols = ("hard", "soft")
    splits = ("val", "test1", "train")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`captions/cap.rc2.SPLIT.json` and `image_splits/split.rc2.SPLIT.json`."""
        path = find(root, f"captions/cap.rc2.{split}.json", f"cirr/captions/cap.rc2.{split}.json")
        listed = find(root, f"image_splits/split.rc2.{split}.json", f"cirr/image_splits/split.rc2.{split}.json")
        entries, files = read_entries(path), read_json(listed, dict)
        gallery = tuple(files)
        rows = _Rows(path, entries, Numbers(gallery, str(listed)), protocol)

        def query_input(number: int) -> QueryInput:
            entry = entries[number]
            return QueryInput(_image(files, entry["reference"]), {"caption": entry["caption"]})

        def part(name: str, prefix: str, ks: Sequence[int], subset: bool) -> Part:
            graded = rows.subset_values if subset else rows.values
            hard = protocol == "hard"
            return Part(
                name,
                rows.ids,
                gallery,
                [np.array(list(one), np.int64) for one in graded] if rows.known else None,
                measure=None if hard else lambda number, places: _soft(places, graded[number], prefix, ks),
                measure_targets=(lambda ranks: {f"{prefix}{k}": found_within(ranks, k) for k in ks}) if hard else None,
                excluded=None if subset else rows.references,
                candidates=rows.members if subset else None,
                query_input=query_input,
                gallery_image=lambda one: _image(files, one),
            )

        parts = (part("all", "R@", RECALLS, False), part("subset", "Rsubset@", SUBSET_RECALLS, True))
        counts = {"queries": len(entries), "images": len(gallery)}
        notes = count_notes(counts, _PUBLISHED.get(split, {}))
        return Task(self.name, protocol, split, parts, notes=notes)


class _Rows:
    """The entries as gallery numbers."""

    def __init__(self, path: Path, entries: list[dict[str, Any]], numbers: Numbers, protocol: str) -> None:
        self.ids = once(path, [str(value(path, number, one, "pairid", int)) for number, one in enumerate(entries)])
        self.references: list[IntArray] = []
        self.members: list[IntArray] = []
        targets: list[dict[int, float]] = []
        known = any("target_hard" in entry for entry in entries)
        for number, entry in enumerate(entries):
            value(path, number, entry, "caption", str)
            reference = value(path, number, entry, "reference", str)
            names = list_of(path, number, value(path, number, entry, "img_set", dict), "members", str)
            if reference not in names:
                raise ConfigurationError(f"{path}, entry {number}: the members of 'img_set' lack the reference.")
            # The set lists the reference among its six members; only the other five are ranked.
            self.members.append(numbers.of([one for one in names if one != reference], path))
            self.references.append(numbers.of([reference], path))
            if known:
                graded = _targets(path, number, entry, protocol)
                targets.append(dict(zip(numbers.of(graded, path).tolist(), graded.values(), strict=True)))
        self.known, self.values = known, targets
        places = [{int(item): place for place, item in enumerate(items)} for items in self.members]
        self.subset_values = [
            {place[item]: grade for item, grade in one.items() if item in place}
            for one, place in zip(targets, places, strict=False)
        ]


def _targets(path: Path, number: int, entry: dict[str, Any], protocol: str) -> dict[str, float]:
    """Names and values of what counts as found."""
    hard = value(path, number, entry, "target_hard", str)
    if protocol == "hard":
        return {hard: 1.0}
    soft = value(path, number, entry, "target_soft", dict)
    if not all(isinstance(grade, int | float) for grade in soft.values()):
        raise ConfigurationError(f"{path}, entry {number}: the values of 'target_soft' must be numbers.")
    return {name: float(grade) for name, grade in soft.items() if grade > 0}


def _soft(places: Places, graded: dict[int, float], prefix: str, ks: Sequence[int]) -> Values:
    grades = np.array([graded[item] for item in places.items.tolist()], np.float64)
    ranks = _graded_ranks(places, grades)
    return {f"{prefix}{k}": best_value(ranks, grades, k) for k in ks}


def _graded_ranks(places: Places, grades: Float64Array) -> IntArray:
    """Ranks (3, P) where, in the bounds, items that tie are ordered by value."""
    tied = places.greater[:, None] == places.greater[None, :]
    better = (tied & (grades[None, :] > grades[:, None])).sum(axis=1)
    return np.stack([places.ranks[0], places.at_least - better, places.greater + 1])


def _image(files: dict[str, Any], name: str) -> ImageFile:
    listed = str(files[name]).removeprefix("./")
    return ImageFile((listed, f"{name}.png", f"img_raw/{listed}"))
