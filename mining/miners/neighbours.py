"""Nearest neighbours of the corpus under several views (MegaPairs, arXiv 2412.14475, section 3.1).

Each view has a window; neighbours inside it become targets, spread over the window, and those of its lists that lie
outside become hard negatives, nearest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mining.miners.interface import Found, Neighbours
from mining.spread import spread
from mining.windows import Window, WindowConfig
from schemas.outcomes import Outcomes

#: What images can be near in: features of the image model, the pattern, captions by a model, texts of their pages. The
#: text stands last, since it is chosen for by itself.
VIEWS = ("image", "pattern", "caption", "text")


class NeighboursConfig(BaseModel):
    """Settings of the miner `neighbours`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: WindowConfig | None = Field(
        default=WindowConfig(min=0.6, max=0.95), description="window on features of the image model"
    )
    pattern: WindowConfig | None = Field(
        default=WindowConfig(min=0.65),
        description="window on the pattern: features of annotate_images.pattern_model, of light and dark (perceptual "
        "hash) without one",
    )
    caption: WindowConfig | None = Field(
        default=None,
        description="window on the sentence embeddings of the captions by annotate_images.caption_model; null for none",
        json_schema_extra={"absent_if_null": True},
    )
    text: WindowConfig | None = Field(
        default=WindowConfig(min=0.42, max=0.97), description="window on the texts' sentence embeddings"
    )
    k: int = Field(default=50, ge=1, description="nearest neighbours in each view")
    pairs_per_view: int = Field(default=2, ge=1, description="targets of a query image in each view")
    negatives: int = Field(default=5, ge=0, description="hard negatives that a view gives at most")

    @model_validator(mode="after")
    def _looks_somewhere(self) -> NeighboursConfig:
        if not self.windows:
            raise ValueError("give at least one of image, pattern, caption and text a window")
        return self

    @property
    def windows(self) -> Mapping[str, WindowConfig]:
        """View → its window, of the views that are used."""
        given = {view: getattr(self, view) for view in VIEWS}
        return {view: window for view, window in given.items() if window is not None}


class NeighboursMiner:
    """Pairs of an image with neighbours; `windows` are the configuration's as similarities."""

    name = "neighbours"

    def __init__(self, config: NeighboursConfig, windows: Mapping[str, Window]) -> None:
        self._config, self._windows = config, windows
        self.views: Mapping[str, int] = dict.fromkeys(config.windows, config.k)

    def find(self, image_id: str, lists: Mapping[str, Neighbours], outcomes: Outcomes) -> Iterator[Found]:
        """Pairs around one image. Reasons of `candidate_pair`: `outside_window`, `query_cap`, `in_another_view`.

        What the views of the image itself share is taken once, its caption among them. The text is chosen for by
        itself: the place that stands for it may lie in another part of the corpus than the image, and how a corpus is
        cut must not decide."""
        taken: set[str] = set()
        for view in self._config.windows:
            near = lists.get(view)
            if near is None:
                continue
            if view == "text":
                taken = set()
            window = self._windows[view]
            first, last = window.span(near.scores)
            inside = [(rank, near.ids[rank - 1], near.scores[rank - 1]) for rank in range(first + 1, last + 1)]
            chosen = spread([one for one in inside if one[1] not in taken], self._config.pairs_per_view)
            outside = near.ids[:first] + near.ids[last:]
            names = {other for _, other, _ in chosen}
            left = [other for _, other, _ in inside if other not in names]
            reasons = {
                "outside_window": outside,
                "in_another_view": [other for other in left if other in taken],
                "query_cap": [other for other in left if other not in taken],
            }
            outcomes.entered("candidate_pair", len(near.ids))
            for reason, others in reasons.items():
                if others:
                    outcomes.rejected_with("candidate_pair", reason, id=image_id, others=others, detail=view)
            outcomes.kept("candidate_pair", len(chosen))
            negatives = outside[: self._config.negatives]
            for rank, other, score in chosen:
                why = f"{view} neighbour {rank}, similarity {score:.4f} in {window}"
                yield Found(image_id, other, score, why, negatives)
            taken |= names
