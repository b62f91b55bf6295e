"""INQUIRE (Vendrow et al., NeurIPS 2024): natural-world queries over five million photographs.

Full rank: the first 50 of the gallery, against all annotated positives. Rerank: the given 100 images of each query,
against the positives among them. AP and nDCG treat tied items as scikit-learn does (one threshold; mean gains), MRR
does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.benchmarks.files import Numbers, count_notes, csv_rows, find, find_optional, lines, once, open_gallery
from evaluation.embeddings import shown
from evaluation.metrics import (
    Float64Array,
    average_precision,
    averaged_ndcg,
    grouped_average_precision,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from evaluation.ranking import Places
from evaluation.task import ImageFile, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

_PUBLISHED = {"test": {"queries": 200}, "val": {"queries": 50}}
FULL_CUT, RERANK_CUT = 50, 100


class Inquire:
    """The benchmark `inquire`: full rank."""

    name = "inquire"
    protocols = ("official",)
    splits = ("test", "val")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`inquire_queries_SPLIT.csv`, `inquire_annotations.csv`, and the gallery's paths in `gallery.txt`, if any."""
        texts = _queries(root, split)
        path, positives = _annotations(root)
        listed = find_optional(root, "gallery.txt")
        gallery = tuple(lines(listed)) if listed else open_gallery(self.name, held)
        numbers = Numbers(gallery, str(listed or "the embeddings"))
        ids = _with_positives(list(texts), positives, path)
        part = Part(
            "all",
            ids,
            gallery,
            [numbers.of(positives[one], path) for one in ids],
            lambda number, places: measures(places, FULL_CUT),
            query_input=lambda number: QueryInput(None, {"caption": texts[ids[number]]}),
            gallery_image=_image,
        )
        return Task(
            self.name,
            protocol,
            split,
            (part,),
            ignorable_queries=_other_queries(root) | positives.keys(),
            notes=count_notes({"queries": len(texts)}, _PUBLISHED[split]),
        )


class InquireRerank:
    """The benchmark `inquire-rerank`."""

    name = "inquire-rerank"
    protocols = ("official",)
    splits = ("test", "val")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`rerank.csv` (`query_id,image_path`), `inquire_queries_SPLIT.csv` and `inquire_annotations.csv`."""
        texts = _queries(root, split)
        _, positives = _annotations(root)
        source = find(root, "rerank.csv", "data/inquire/rerank.csv")
        lists: dict[str, list[str]] = {}
        for row in csv_rows(source, ("query_id", "image_path")):
            lists.setdefault(row["query_id"], []).append(row["image_path"])
        lost = [one for one in texts if one not in lists]
        if lost:
            raise ConfigurationError(f"{source} has no images for the queries {shown(lost)}.")
        ids = [one for one in texts if any(image in positives.get(one, ()) for image in once(source, lists[one]))]
        if not ids:
            raise ConfigurationError(f"{source} lists no relevant image of any query of the split {split}.")
        skipped = (f"{len(texts) - len(ids)} queries without a relevant candidate are left out",)[
            : len(ids) < len(texts)
        ]
        images = dict.fromkeys(image for found in lists.values() for image in found)
        gallery = tuple(dict.fromkeys(image for one in ids for image in lists[one]))
        numbers = Numbers(gallery, str(source))
        part = Part(
            "all",
            ids,
            gallery,
            [np.array([n for n, image in enumerate(lists[one]) if image in positives[one]], np.int64) for one in ids],
            lambda number, places: measures(places, RERANK_CUT) | measures(places, FULL_CUT),
            candidates=[numbers.of(lists[one], source) for one in ids],
            query_input=lambda number: QueryInput(None, {"caption": texts[ids[number]]}),
            gallery_image=_image,
        )
        return Task(
            self.name,
            protocol,
            split,
            (part,),
            ignorable_queries=_other_queries(root) | positives.keys() | lists.keys(),
            ignorable_gallery=frozenset(images) | frozenset(one for found in positives.values() for one in found),
            notes=count_notes({"queries": len(texts)}, _PUBLISHED[split]) + skipped,
        )


def measures(places: Places, cut: int) -> Values:
    """The metrics of one query over the first `cut` of its list."""
    count, k = len(places.items), min(cut, places.size)
    own, plain_ap = places.ranks[0], average_precision(places.ranks, count, k)
    grouped = grouped_average_precision(own, places.at_least, count, k)
    averaged = averaged_ndcg(own, places.greater, places.at_least, count, k)
    return {
        f"AP@{cut}": _around(plain_ap, grouped),
        f"nDCG@{cut}": _around(ndcg(places.ranks, count, k), averaged),
        "MRR": reciprocal_rank(places.ranks, k),
        f"P@{cut}": precision(places.ranks, k),
        f"recall@{cut}": recall(places.ranks, count, k),
    }


def _around(triple: Float64Array, reported: float) -> Float64Array:
    """The value that treats ties in its own way in the first place, and bounds that enclose it.

    scikit-learn's average precision may lie above every order of the tied items: relevant ones that tie share the
    precision of the last."""
    return np.array([reported, min(triple[1], reported), max(triple[2], reported)])


def _queries(root: Path, split: str) -> dict[str, str]:
    name = f"inquire_queries_{split}.csv"
    path = find(root, name, f"data/inquire/{name}")
    rows = csv_rows(path, ("query_id", "query_text"))
    once(path, [row["query_id"] for row in rows])
    return {row["query_id"]: row["query_text"] for row in rows}


def _other_queries(root: Path) -> frozenset[str]:
    """Ids of whichever query files there are: an embeddings file may hold both splits."""
    found: set[str] = set()
    for name in ("inquire_queries_val.csv", "inquire_queries_test.csv"):
        path = find_optional(root, name, f"data/inquire/{name}")
        if path is not None:
            found |= {row["query_id"] for row in csv_rows(path, ("query_id",))}
    return frozenset(found)


def _annotations(root: Path) -> tuple[Path, dict[str, dict[str, None]]]:
    """The file, and for each query its relevant images, once, in the file's order."""
    path = find(root, "inquire_annotations.csv", "data/inquire/inquire_annotations.csv")
    positives: dict[str, dict[str, None]] = {}
    for row in csv_rows(path, ("query_id", "image_path")):
        positives.setdefault(row["query_id"], {})[row["image_path"]] = None
    return path, positives


def _with_positives(ids: list[str], positives: dict[str, dict[str, None]], path: Path) -> list[str]:
    lost = [one for one in ids if one not in positives]
    if lost:
        raise ConfigurationError(f"{path} has no relevant image for the queries {shown(lost)}.")
    return ids


def _image(path: str) -> ImageFile:
    return ImageFile((path, path.removeprefix("train/")))
