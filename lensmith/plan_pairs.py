"""The mined pairs of a run: how many there are, how many of different content, and a sample of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from publishing.report.sampling import Sample
from publishing.statistics import DistinctSketch
from schemas.ids import canonical_json
from synthesis.chain import Key

SIDES = ("query", "target")
_SAYS = ("text", "label", "image_url")
_ABOUT = ("page_title", "language")


@dataclass
class Found:
    """The pairs of a run: how many, a sample of them with the shard of each, and how many there are of different
    content, since equal questions are asked once: of images and of pairs, told apart by their words alone or by their
    images as well."""

    pairs: int = 0
    sample: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    distinct: dict[tuple[str, bool], DistinctSketch] = field(default_factory=dict)

    def units(self, unit: str, seen: bool) -> int:
        """Distinct images or pairs; `seen`: two images with the same words are two."""
        return self.distinct["image" if unit == "image" else "pair", seen].count


def find_pairs(workspace: Workspace, size: int) -> Found:
    """All pairs of the run, and about `size` of them, chosen by the hash of their images: the two directions between
    two images come together, since texts may be written for either."""
    found, couples = Found(), Sample[Key](size, "plan")
    found.distinct = {(unit, seen): DistinctSketch() for unit in ("image", "pair") for seen in (False, True)}
    for _, row in _pairs(workspace):
        found.pairs += 1
        for seen in (False, True):
            ends = [_content(row, side, seen) for side in SIDES]
            found.distinct["pair", seen].add(canonical_json(ends))
            for one in ends:
                found.distinct["image", seen].add(canonical_json(one))
        couples.add(canonical_json(couple(row)), couple(row))
    chosen: dict[Key, list[tuple[str, dict[str, Any]]]] = {one: [] for one in couples.items}
    for key, row in _pairs(workspace) if chosen else ():
        if couple(row) in chosen:
            chosen[couple(row)].append((key, row))
    for one in chosen.values():
        if len(found.sample) < size:
            found.sample += one
    return found


def _pairs(workspace: Workspace) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in workspace.in_force("mine_pairs"):
        for row in rows(workspace, workspace.manifests("mine_pairs", [key])[0], "pairs"):
            yield key, row


def couple(row: Mapping[str, Any]) -> Key:
    """What a pair and its reverse are drawn as: page and both images."""
    return (row["page_id"], *sorted((row["query_image_id"], row["target_image_id"])))


def _content(row: Mapping[str, Any], side: str, seen: bool) -> list[Any]:
    """What a question about an image can hold: rather too much than too little, which would count two as one."""
    said = [row.get(f"{side}_{what}") for what in _SAYS] + [row.get(what) for what in _ABOUT]
    return [*said, row[f"{side}_image_id"]] if seen else said
