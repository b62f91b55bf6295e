"""Google Landmarks v2, retrieval (Weyand et al., CVPR 2020): mAP@100 over the queries that have a solution.

Rows without images and rows marked Ignored are no queries. AP divides by min(positives, 100); Public and Private are
reported beside the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.benchmarks.files import Numbers, count_notes, csv_rows, find_optional, lines, once, open_gallery
from evaluation.embeddings import shown
from evaluation.metrics import average_precision, precision
from evaluation.ranking import Places
from evaluation.task import ImageFile, Part, QueryInput, Task, Values
from schemas.errors import ConfigurationError

_PUBLISHED = {"queries": 1129, "images": 761_757}
_USAGES = ("Public", "Private", "Ignored")


class Gldv2:
    """The benchmark `gldv2`."""

    name = "gldv2"
    protocols = ("official",)
    splits = ("test",)

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`retrieval_solution*.csv` (`id,images,Usage`), and the index images' ids in `index.txt`, if any."""
        path = _solution(root)
        rows = csv_rows(path, ("id", "images", "Usage"))
        once(path, [row["id"] for row in rows])
        odd = [row["id"] for row in rows if row["Usage"] not in _USAGES]
        if odd:
            raise ConfigurationError(f"{path}: Usage is none of {', '.join(_USAGES)} for {shown(odd)}.")
        asked = [row for row in rows if row["Usage"] != "Ignored" and row["images"].split() not in ([], ["None"])]
        if not asked:
            raise ConfigurationError(f"{path} has no row with images and a Usage of Public or Private.")
        listed = find_optional(root, "index.txt")
        gallery = tuple(lines(listed)) if listed else open_gallery(self.name, held)
        numbers = Numbers(gallery, str(listed or "the embeddings"))
        part = Part(
            "all",
            [row["id"] for row in asked],
            gallery,
            [numbers.of(dict.fromkeys(row["images"].split()), path) for row in asked],
            lambda number, places: _measure(places, asked[number]["Usage"]),
            query_input=lambda number: QueryInput(_image("test", asked[number]["id"])),
            gallery_image=lambda one: _image("index", one),
        )
        counts = {"queries": len(asked)} | ({"images": len(gallery)} if listed else {})
        return Task(
            self.name,
            protocol,
            split,
            (part,),
            ignorable_queries=frozenset(row["id"] for row in rows),
            notes=count_notes(counts, _PUBLISHED),
        )


def _solution(root: Path) -> Path:
    found = sorted(root.glob("retrieval_solution*.csv"))
    if len(found) != 1:
        what = f"several: {shown(path.name for path in found)}; keep one" if found else "none"
        raise ConfigurationError(f"{root} must hold one retrieval_solution*.csv, it holds {what}.")
    return found[0]


def _measure(places: Places, usage: str) -> Values:
    area = average_precision(places.ranks, len(places.items), 100)
    return {"mAP@100": area, f"mAP@100/{usage}": area, "P@1": precision(places.ranks, 1)}


def _image(folder: str, one: str) -> ImageFile:
    nested = "/".join([*one[:3], f"{one}.jpg"])
    return ImageFile((f"{folder}/{nested}", nested, f"{folder}/{one}.jpg", f"{one}.jpg"))
