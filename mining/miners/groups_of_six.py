"""Groups of six similar images (CIRR, arXiv 2108.04024; MTCIR in CoLLM, arXiv 2503.19910).

Around a first image its neighbours are taken greedily, the most similar first: each must lie inside a window of
similarity to the first, and a step below the one before. Groups that stay smaller are dropped. Pairs are the first
image with every other, and consecutive members; the rest of the group are hard negatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field

from mining.miners.interface import Found, Neighbours
from mining.windows import Window, WindowConfig
from schemas.ids import digest
from schemas.outcomes import Outcomes


class GroupsOfSixConfig(BaseModel):
    """Settings of the miner `groups_of_six`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: WindowConfig = Field(
        default=WindowConfig(min=0.45, max=0.95), description="similarity of members to the first image"
    )
    step: float = Field(
        default=0.03, ge=0, le=1, description="by how much less each member is similar to the first than the one before"
    )
    size: int = Field(default=6, ge=3, description="images of a group; smaller ones are dropped")
    k: int = Field(default=100, ge=2, description="nearest neighbours among which members are sought")
    firsts: float = Field(
        default=1.0, gt=0, le=1, description="share of the images around which a group is sought, chosen by hash"
    )


class GroupsOfSix:
    """Pairs inside greedy groups; `window` is the configuration's as similarities."""

    name = "groups_of_six"

    def __init__(self, config: GroupsOfSixConfig, window: Window) -> None:
        self._config, self._window = config, window
        self.views: Mapping[str, int] = {"image": config.k}

    def find(self, image_id: str, lists: Mapping[str, Neighbours], outcomes: Outcomes) -> Iterator[Found]:
        """Pairs of the group around one image. Reasons of `candidate_pair`, for neighbours that are no members:
        `outside_window`, `within_step`, `group_full`, and `small_group` for all of a group that is dropped."""
        near = lists.get("image")
        if near is None or not self._begins(image_id):
            return
        first, last = self._window.span(near.scores)
        members: list[tuple[str, float]] = []
        left: dict[str, list[str]] = {"outside_window": [*near.ids[:first], *near.ids[last:]], "within_step": []}
        place = first
        while place < last and len(members) < self._config.size - 1:
            other, score = near.ids[place], near.scores[place]
            if members and round(members[-1][1] - score, 4) < self._config.step:
                left["within_step"].append(other)
            else:
                members.append((other, score))
            place += 1
        left["group_full"] = list(near.ids[place:last])
        if len(members) < self._config.size - 1:
            left["small_group"] = [other for other, _ in members]
            members = []
        outcomes.entered("candidate_pair", sum(map(len, left.values())))
        for reason, others in left.items():
            if others:
                outcomes.rejected_with("candidate_pair", reason, id=image_id, others=others)
        yield from self._pairs(image_id, members, outcomes)

    def _pairs(self, first: str, members: list[tuple[str, float]], outcomes: Outcomes) -> Iterator[Found]:
        if not members:
            return
        group = [first, *(other for other, _ in members)]
        scores = [1.0, *(score for _, score in members)]
        places = [(0, place) for place in range(1, len(group))]
        places += [(place, place + 1) for place in range(1, len(group) - 1)]
        outcomes.entered("candidate_pair", len(places))
        outcomes.kept("candidate_pair", len(places))
        for one, other in places:
            why = f"group of {first[:12]}, members {one} and {other}, similarity to the first {scores[other]:.4f}"
            negatives = tuple(group[place] for place in range(len(group)) if place not in (one, other))
            yield Found(group[one], group[other], scores[other], f"{why} in {self._window}", negatives)

    def _begins(self, image_id: str) -> bool:
        return self._config.firsts == 1.0 or int(digest("first", image_id)[:13], 16) / 16**13 < self._config.firsts
