"""Partners from a window of ranks (SPN4CIR, arXiv 2404.11317): near enough to be compared, far enough to differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mining.miners.interface import Found, Neighbours
from mining.spread import spread
from schemas.outcomes import Outcomes


class MidRankConfig(BaseModel):
    """Settings of the miner `mid_rank`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    view: Literal["image", "pattern", "caption", "text"] = Field(
        default="image", description="what ranks the neighbours"
    )
    first_rank: int = Field(default=10, ge=1, description="the nearest neighbour that may be a partner, counted from 1")
    last_rank: int = Field(default=50, ge=1, description="the last one")
    pairs_per_query: int = Field(default=2, ge=1, description="partners of a query image, spread over the ranks")
    negatives: int = Field(default=5, ge=0, description="hard negatives: the neighbours before the first rank")

    @model_validator(mode="after")
    def _ranks_are_ordered(self) -> MidRankConfig:
        if self.first_rank > self.last_rank:
            raise ValueError("first_rank must not lie behind last_rank")
        return self


class MidRank:
    """Pairs of an image with neighbours of middle rank."""

    name = "mid_rank"

    def __init__(self, config: MidRankConfig) -> None:
        self._config = config
        self.views: Mapping[str, int] = {config.view: config.last_rank}

    def find(self, image_id: str, lists: Mapping[str, Neighbours], outcomes: Outcomes) -> Iterator[Found]:
        """Pairs around one image. Reasons of `candidate_pair`: `outside_ranks`, `query_cap`."""
        near = lists.get(self._config.view)
        if near is None:
            return
        first, last = self._config.first_rank, self._config.last_rank
        ranked = enumerate(zip(near.ids[first - 1 : last], near.scores[first - 1 : last], strict=True), start=first)
        inside = [(rank, other, score) for rank, (other, score) in ranked]
        chosen = spread(inside, self._config.pairs_per_query)
        names = {other for _, other, _ in chosen}
        reasons = {
            "query_cap": [other for _, other, _ in inside if other not in names],
            "outside_ranks": near.ids[: first - 1] + near.ids[last:],
        }
        outcomes.entered("candidate_pair", len(near.ids))
        outcomes.kept("candidate_pair", len(chosen))
        for reason, others in reasons.items():
            if others:
                outcomes.rejected_with("candidate_pair", reason, id=image_id, others=others)
        negatives = near.ids[: min(first - 1, self._config.negatives)]
        for rank, other, score in chosen:
            yield Found(
                image_id, other, score, f"{self._config.view} neighbour {rank}, similarity {score:.4f}", negatives
            )
