"""Why units were dropped: the counts of the funnel, and for each reason a few of them with their images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from publishing.report.sampling import Sample
from publishing.tombstones import Tombstones

SAMPLES = 6
#: Stages whose images were decoded before, in a process of their own: those are shown, no others.
_SHOWN = ("mine_pairs", "write_instructions", "verify_triplets", "publish_dataset")
#: Reasons for which an image must not be shown, or cannot.
_UNSEEN = frozenset({"opted_out", "unsafe", "taken_down", "no_image", "not_annotated"})
_IMAGE_ID = re.compile(r"\b[0-9a-f]{64}\b")
#: Units that are pairs of images, and where their ids are looked up.
_PAIRS = ("pair", "triplet", "text", "request", "candidate_pair")


@dataclass(frozen=True)
class Dropped:
    """One dropped unit: its id, address and detail, and the ids of the images that it is about."""

    id: str
    url: str | None
    detail: str
    images: tuple[str, ...] = ()


@dataclass
class Reason:
    """Why units were dropped in one stage: the count, how many entered, and a few of those dropped."""

    stage: str
    unit: str
    reason: str
    count: int
    entered: int
    samples: list[Dropped] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it is a failure and no rejection."""
        return self.reason.startswith("error:")

    @property
    def shown(self) -> bool:
        """Whether images of its samples may be shown."""
        return self.stage in _SHOWN and not self.failed and self.reason not in _UNSEEN


def find_reasons(
    funnel: Mapping[str, Any],
    rows: Callable[[str, str | None, Sequence[str]], Iterable[Mapping[str, Any]]],
    gone: Tombstones,
) -> list[Reason]:
    """The reasons of a funnel in its order, the most frequent of a unit first, with samples chosen by address or id:
    an image that is dropped on every page is shown once."""
    found: dict[tuple[str, str, str], Reason] = {}
    for entry in funnel["stages"]:
        counts = {**entry["rejected"], **{f"error:{name}": count for name, count in entry["failed"].items()}}
        for reason, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            key = (entry["stage"], entry["unit"], reason)
            found[key] = Reason(*key, count, entry["in"])
    samples: dict[tuple[str, str, str], Sample[Dropped]] = {}
    for stage in dict.fromkeys(key[0] for key in found):
        for row in rows("rejected", stage, ("unit", "id", "url", "reason", "detail")):
            key = (stage, row["unit"], row["reason"])
            if key in found and not gone.covers_url(row["url"]):
                by = row["id"] if row["unit"] in _PAIRS else row["url"] or row["id"]
                samples.setdefault(key, Sample(SAMPLES)).add(by, _dropped(row, found[key].shown))
    for key, chosen in samples.items():
        found[key].samples = chosen.items
    _name_images(list(found.values()), rows)
    for one in found.values():
        one.samples = [row for row in one.samples if gone.image_ids.isdisjoint(row.images)]
    return list(found.values())


def _dropped(row: Mapping[str, Any], shown: bool) -> Dropped:
    detail = row["detail"] or ""
    images = tuple(_IMAGE_ID.findall(detail)) if shown else ()
    plain = re.sub(r"\s*\b(of\s+)?[0-9a-f]{64}\b[,:]?", "", detail).strip() if shown else detail
    return Dropped(row["id"], row["url"], plain, images)


def _name_images(
    reasons: Sequence[Reason], rows: Callable[[str, str | None, Sequence[str]], Iterable[Mapping[str, Any]]]
) -> None:
    """Give the samples that are pairs or triplets the ids of both images."""
    asked = {row.id for one in reasons if one.shown and one.unit in _PAIRS for row in one.samples if not row.images}
    if not asked:
        return
    images: dict[str, tuple[str, ...]] = {}
    for table, column in (("pairs", "pair_id"), ("triplets", "triplet_id")):
        if asked - images.keys():
            for row in rows(table, None, (column, "query_image_id", "target_image_id")):
                if row[column] in asked:
                    images[row[column]] = (row["query_image_id"], row["target_image_id"])
    for one in reasons:
        if one.shown and one.unit in _PAIRS:
            one.samples = [replace(row, images=row.images or images.get(row.id, ())) for row in one.samples]
