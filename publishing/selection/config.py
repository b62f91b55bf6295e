"""Settings of `lensmith select`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import ConfigurationError


class QualityTerm(BaseModel):
    """How one column of a row becomes a number from 0 (bad) to 1 (good)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["values", "high", "low", "window"] = Field(
        description="a number for each value; the share of rows with a lower (`high`) or higher (`low`) number; or 1 "
        "within a window, falling to 0 over the window's width outside it"
    )
    weight: float = Field(default=1.0, ge=0, description="weight in the mean of the terms")
    values: dict[str, float] = Field(default={}, description="for `values`: value → 0 to 1; others are `missing`")
    min: float | None = Field(default=None, description="for `window`: its lower edge")
    max: float | None = Field(default=None, description="for `window`: its upper edge")
    quantiles: bool = Field(default=False, description="for `window`: the edges are quantiles of the column, 0 to 1")
    missing: float = Field(default=0.5, ge=0, le=1, description="of rows without a value")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> QualityTerm:
        if self.kind == "values" and not (self.values and all(0 <= one <= 1 for one in self.values.values())):
            raise ValueError("values must hold a number from 0 to 1 for each value")
        if self.kind == "window":
            if self.min is None or self.max is None or self.min >= self.max:
                raise ValueError("a window needs min and max, and min must be the smaller one")
            if self.quantiles and not 0 <= self.min < self.max <= 1:
                raise ValueError("quantiles lie between 0 and 1")
        return self


def _window(low: float, high: float, weight: float = 1.0, quantiles: bool = False) -> QualityTerm:
    return QualityTerm(kind="window", min=low, max=high, weight=weight, quantiles=quantiles)


#: What is good where nothing else is said: docs/select.md gives the reasons.
QUALITY: dict[str, QualityTerm] = {
    "verdict": QualityTerm(
        kind="values", weight=2.0, values={"pass": 1.0, "unchecked": 0.5, "ambiguous": 0.25, "fail": 0.0}
    ),
    "instructions.score": QualityTerm(kind="high"),
    "rank_both": QualityTerm(kind="low"),
    "words": _window(3, 20),
    "visual_similarity": _window(0.05, 0.95, quantiles=True),
    "text_similarity": _window(0.05, 0.95, 0.5, quantiles=True),
}


class SelectionConfig(BaseModel):
    """What is chosen of the rows of the split `train`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=1, description="triplets that are chosen")
    by: Literal["diversity", "quality", "mix"] = Field(description="what the choice goes by")
    share: float = Field(default=0.5, gt=0, lt=1, description="for `mix`: the share that is chosen by quality, first")
    quality: dict[str, QualityTerm] = Field(default=QUALITY, description="column → its part in a row's quality")
    least_quality: float = Field(default=0.0, ge=0, le=1, description="rows of lower quality are never chosen")
    cover: dict[str, float] = Field(
        default={"mining": 0.1, "instructions.category": 0.1, "host": 0.1},
        description="column → weight with which a choice by diversity spreads over its values",
    )
    caps: dict[str, float] = Field(
        default={}, description="column → share of the choice that one value of it may have at most"
    )
    clusters: int | None = Field(
        default=None,
        ge=1,
        description="clusters of the rows' features; null is the square root of the rows, 4096 at most",
    )
    cluster_cap: float | None = Field(
        default=3.0,
        ge=1,
        description="times its even share of the choice that a cluster may have at most; more where too few would be "
        "left; null is no limit",
    )
    block: int = Field(
        default=2048,
        ge=2,
        le=16384,
        description="rows that are compared with each other, at most: memory is its square",
    )
    tolerance: float = Field(
        default=0.01, ge=0, lt=0.5, description="a row is taken if its gain is at most this share below the best"
    )
    seed: int = Field(default=0, ge=0, description="decides the clusters")

    @model_validator(mode="after")
    def _shares_are_shares(self) -> SelectionConfig:
        if any(not 0 < one <= 1 for one in self.caps.values()):
            raise ValueError("caps are shares of the choice, above 0 and at most 1")
        if any(one < 0 for one in self.cover.values()):
            raise ValueError("weights of cover are not below 0")
        if self.by != "diversity" and not sum(one.weight for one in self.quality.values()):
            raise ValueError("quality has no term with a weight")
        return self


def selection_config(settings: Mapping[str, Any]) -> SelectionConfig:
    """Checked settings. Raises ConfigurationError that names the first key that is wrong."""
    try:
        return SelectionConfig(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(one) for one in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"the selection's settings: {key + ': ' if key else ''}{reason}.") from error
