"""The samples of benchmarks that can be refined: what is asked for, where the images lie, what they are told from."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.benchmarks import benchmark as benchmark_of
from evaluation.benchmarks import choice
from evaluation.benchmarks.fashioniq import CATEGORIES
from evaluation.benchmarks.files import find, find_optional, read_entries, read_text
from evaluation.task import ImageFile, Part
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

#: Benchmarks with the protocol whose gallery holds what the annotations name, and the splits whose targets are known.
KNOWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cirr": ("hard", ("val", "train")),
    "fashioniq": ("val", ("val", "train")),
    "circo": ("official", ("val",)),
}


@dataclass(frozen=True)
class Sample:
    """One query of a benchmark. Images are named as its files name them. `distractors`: what the benchmark itself sets
    beside the target; None leaves them to likeness, where `no_distractors` (all that is right, and the query) are none.
    """

    sample_id: str
    text: str
    query: str
    target: str
    file: int
    entry: int
    distractors: tuple[str, ...] | None
    no_distractors: frozenset[str]


@dataclass(frozen=True)
class AnnotationFile:
    """A file of annotations: its path below the folder, its entries as they are, and how its JSON is laid out."""

    path: str
    entries: Sequence[Mapping[str, Any]]
    indent: int | None


@dataclass(frozen=True)
class Annotations:
    """A benchmark's annotations: files, samples in their order, images by name, files that go along unchanged."""

    benchmark: str
    split: str
    files: tuple[AnnotationFile, ...]
    samples: tuple[Sample, ...]
    images: Mapping[str, ImageFile]
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    root: Path = field(default_factory=Path)


def read_samples(name: str, root: Path, split: str | None) -> Annotations:
    """The samples of a benchmark. Raises ConfigurationError for one that is not known here, and as its reader does."""
    if name not in KNOWN:
        raise ConfigurationError(f"there is no refining of {name!r}: there are {', '.join(KNOWN)}.")
    protocol, splits = KNOWN[name]
    split = choice("--split", split, splits, f"the splits of {name} whose targets are known")
    paths = _paths(name, split)
    files = tuple(_file(root, *one) for one in paths)
    held = _named_by_circo(files) if name == "circo" else None
    task = benchmark_of(name).load(root, protocol, split, held)
    if not task.scorable:
        raise ConfigurationError(f"{files[0].path} names no targets: what has none cannot be verified.")
    images: dict[str, ImageFile] = {}
    samples: list[Sample] = []
    for number, (part, file) in enumerate(zip(task.parts, files, strict=False)):
        subset = task.parts[1] if name == "cirr" else None
        samples += [_sample(name, part, subset, number, file, entry, images) for entry in range(len(part.queries))]
    return Annotations(name, split, files, tuple(samples), images, _beside(root, name, split), task.notes, root)


def refined_entry(name: str, entry: Mapping[str, Any], text: str) -> dict[str, Any]:
    """An entry of an annotation file with another text. FashionIQ's two captions, which its readers join, are both the
    text."""
    if name == "fashioniq":
        return {**entry, "captions": [text] * max(1, len(entry["captions"]))}
    return {**entry, ("caption" if name == "cirr" else "relative_caption"): text}


def dumped(file: AnnotationFile, entries: Sequence[Mapping[str, Any]]) -> bytes:
    """Entries as the JSON of their file was laid out."""
    return json.dumps(list(entries), indent=file.indent).encode()


def _paths(name: str, split: str) -> list[tuple[str, ...]]:
    if name == "cirr":
        return [(f"captions/cap.rc2.{split}.json", f"cirr/captions/cap.rc2.{split}.json")]
    if name == "fashioniq":
        return [(f"captions/cap.{one}.{split}.json", f"cap.{one}.{split}.json") for one in CATEGORIES]
    return [(f"annotations/{split}.json", f"{split}.json")]


def _file(root: Path, *names: str) -> AnnotationFile:
    path = find(root, *names)
    indent = 4 if read_text(path).startswith("[\n") else None
    return AnnotationFile(path.relative_to(root).as_posix(), read_entries(path), indent)


def _beside(root: Path, name: str, split: str) -> tuple[str, ...]:
    """Lists of images that the refined files are read with. CIRCO's is COCO's own, and large."""
    wanted: list[tuple[str, ...]] = []
    if name == "cirr":
        file = f"image_splits/split.rc2.{split}.json"
        wanted = [(file, f"cirr/{file}")]
    elif name == "fashioniq":
        files = [f"split.{one}.{split}.json" for one in CATEGORIES]
        wanted = [(f"image_splits/{one}", one) for one in files]
    found = (find_optional(root, *names) for names in wanted)
    return tuple(one.relative_to(root).as_posix() for one in found if one is not None)


def _named_by_circo(files: Sequence[AnnotationFile]) -> list[str]:
    """Ids of the images that CIRCO's annotations name: the gallery where COCO's list is not there."""
    named: dict[str, None] = {}
    for file in files:
        for entry in file.entries:
            truths = entry.get("gt_img_ids")
            ids = [entry.get("reference_img_id"), entry.get("target_img_id")]
            named |= dict.fromkeys(str(one) for one in [*ids, *(truths if isinstance(truths, list) else ())])
    return list(named)


def _sample(
    name: str,
    part: Part,
    subset: Part | None,
    file: int,
    annotations: AnnotationFile,
    number: int,
    images: dict[str, ImageFile],
) -> Sample:
    assert part.relevant is not None
    assert part.query_input is not None
    asked = part.query_input(number)
    assert asked.image is not None
    right = [_image(part, int(one), images) for one in part.relevant[number].tolist()]
    query = _named(asked.image, images)
    beside = None
    if subset is not None:
        assert subset.candidates is not None
        members = [_image(part, int(one), images) for one in subset.candidates[number].tolist()]
        beside = tuple(one for one in members if one not in (query, right[0]))
    return Sample(
        part.queries[number],
        _text(name, asked.fields),
        query,
        right[0],
        file,
        number,
        beside,
        frozenset({query, *right}),
    )


def _text(name: str, fields: Mapping[str, str]) -> str:
    """What is asked for, as papers join FashionIQ's two captions."""
    if name == "fashioniq":
        captions = dict.fromkeys(fields[one].strip() for one in ("caption1", "caption2"))
        return " and ".join(one for one in captions if one)
    return fields["caption"].strip()


def _image(part: Part, number: int, images: dict[str, ImageFile]) -> str:
    assert part.gallery_image is not None
    return _named(part.gallery_image(part.gallery[number]), images)


def _named(file: ImageFile, images: dict[str, ImageFile]) -> str:
    images.setdefault(file.paths[0], file)
    return file.paths[0]


def similar(sample: Sample, names: Sequence[str], vectors: Float32Array, count: int) -> tuple[str, ...]:
    """The images that are most like the target, by the cosine of their features (rounded to 4 decimals) and then by
    name; `vectors` float32 (n, d) of unit length for the n names, which are sorted."""
    place = bisect_left(names, sample.target)
    scores = np.round((vectors.astype(np.float64) @ vectors[place].astype(np.float64)), 4)
    order = np.argsort(-scores, kind="stable").tolist()
    return tuple(islice((names[one] for one in order if names[one] not in sample.no_distractors), count))
