"""A sample of triplets to be judged: chosen by hash, equal parts of each method, with other images of their pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from publishing.report.sampling import Sample
from publishing.tombstones import Tombstones
from schemas.errors import ConfigurationError
from schemas.ids import digest, triplet_id

#: What a sample may be drawn in equal parts of: fields of a text in `instructions`.
STRATA = ("method", "category", "direction", "length", "verdict")
#: Other images of the page that are shown beside a target, at most.
DISTRACTORS = 5
#: Columns of a triplet that are looked at.
COLUMNS = (
    "pair_id",
    "page_id",
    "page_title",
    "page_url",
    "instruction",
    "instructions",
    "query_image_id",
    "target_image_id",
    "query_image_url",
    "target_image_url",
    "query_text",
    "target_text",
    "query_label",
    "target_label",
)


@dataclass(frozen=True)
class Beside:
    """Another image of a target's page, with the text that it has there."""

    image_id: str
    text: str | None = None


@dataclass(frozen=True)
class Item:
    """One text of a triplet with its images. `item_id` is the id of the triplet of this pair and this text."""

    item_id: str
    text: str
    method: str
    stratum: str
    page_id: str
    page_title: str | None
    page_url: str
    query_image_id: str
    target_image_id: str
    query_text: str | None
    target_text: str | None
    query_label: str | None
    target_label: str | None
    distractors: tuple[Beside, ...] = ()

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Query, target, distractors."""
        return (self.query_image_id, self.target_image_id, *(one.image_id for one in self.distractors))


@dataclass(frozen=True)
class JudgeSample:
    """Items in the order in which they are shown: by hash, so that no stratum stands together. `of`: how many there
    were to choose from, by stratum."""

    items: tuple[Item, ...]
    by: str
    seed: int
    of: Mapping[str, int]

    @property
    def sample_id(self) -> str:
        """Equal samples have equal ids; whatever a judge sees of an item counts."""
        shown = [part for one in self.items for part in (one.item_id, *one.image_ids)]
        return digest("judge", self.by, str(self.seed), *shown)[:32]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"sample": self.sample_id, "by": self.by, "seed": self.seed, "of": dict(self.of)} | {
            "items": [asdict(one) for one in self.items]
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JudgeSample:
        """Read what `to_json` gave."""
        items = [
            Item(**{**one, "distractors": tuple(Beside(**each) for each in one["distractors"])})
            for one in data["items"]
        ]
        return cls(tuple(items), data["by"], data["seed"], data["of"])


def draw(
    rows: Iterable[Mapping[str, Any]], size: int, *, by: str = "method", seed: int = 0, gone: Tombstones | None = None
) -> JudgeSample:
    """At most `size` texts of triplets, without distractors yet; what `gone` covers is left out.

    Of each triplet the first text of each stratum may be chosen (`none`: the first text alone). Strata have equal
    parts, as far as they go. Raises ConfigurationError for an unknown `by`.
    """
    if by not in (*STRATA, "none"):
        raise ConfigurationError(f"--by {by!r} is none: there are {', '.join(STRATA)} and none.")
    tombstones = gone or Tombstones()
    strata: dict[str, Sample[Item]] = {}
    for row in rows:
        if tombstones.covers_triplet(row):
            continue
        for item in _items(row, by):
            strata.setdefault(item.stratum, Sample(size, f"judge {seed}")).add(item.item_id, item)
    of = {name: strata[name].seen for name in sorted(strata)}
    parts = allot(of, size)
    chosen = [item for name in sorted(strata) for item in strata[name].items[: parts[name]]]
    chosen.sort(key=lambda one: digest(f"judge {seed}", one.item_id))
    return JudgeSample(tuple(chosen), by, seed, of)


def allot(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Equal parts of `size`; what a small stratum cannot give the others do."""
    parts: dict[str, int] = {}
    left = size
    for place, name in enumerate(sorted(counts, key=lambda one: (counts[one], one))):
        parts[name] = min(counts[name], left // (len(counts) - place))
        left -= parts[name]
    return parts


def nearest(item: Item, page: Sequence[Mapping[str, Any]], gone: Tombstones | None = None) -> tuple[Beside, ...]:
    """The images of the page that a target could be taken for: rows of `eligible` of one page, most similar to the
    target first (cosine of sketches, ties by id), without query and target."""
    tombstones = gone or Tombstones()
    sketches = {row["image_id"]: np.frombuffer(row["sketch"], np.int8).astype(np.float64) for row in page}
    target = sketches.get(item.target_image_id)
    if target is None:
        return ()
    found: dict[str, tuple[float, Beside]] = {}
    for row in page:
        name = row["image_id"]
        if name in (item.query_image_id, item.target_image_id) or tombstones.covers_image(name, row["url"]):
            continue
        length = float(np.linalg.norm(sketches[name]) * np.linalg.norm(target)) or 1.0
        likeness = round(float(sketches[name] @ target) / length, 4)
        found.setdefault(name, (likeness, Beside(name, row["text"])))
    ranked = sorted(found.values(), key=lambda one: (-one[0], one[1].image_id))
    return tuple(one for _, one in ranked[:DISTRACTORS])


def strata_of(items: Iterable[Item], by: str) -> list[str]:
    """The strata of some items, the most frequent first."""
    counts = Counter(one.method if by == "method" else one.stratum for one in items)
    return sorted(counts, key=lambda one: (-counts[one], one))


def _items(row: Mapping[str, Any], by: str) -> Iterator[Item]:
    seen = set()
    for text in row["instructions"]:
        stratum = "" if by == "none" else str(text[by] or "none")
        if stratum in seen:
            continue
        seen.add(stratum)
        kept = {name: row[name] for name in Item.__dataclass_fields__ if name in row}
        yield Item(
            **kept,
            item_id=triplet_id(row["pair_id"], text["text"]),
            text=text["text"],
            method=str(text["method"]),
            stratum=stratum,
        )
