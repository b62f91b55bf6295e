"""The settings of objectives: a section each, absent where it is not used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Objective(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(default=1.0, gt=0, description="its share in the sum")


class InfoNceConfig(_Objective):
    """InfoNCE from queries to targets over the global batch."""

    query_negative: bool = Field(default=True, description="the query images of a batch are negatives (MagicLens)")
    symmetric: bool = Field(default=False, description="also from targets to queries")
    temperature: float = Field(default=0.05, gt=0, description="temperature at the start")
    learn_temperature: bool = Field(default=True, description="whether it is learned, down to 0.01")
    hard_negatives: int = Field(default=0, ge=0, description="hard negatives of each row, besides the query image")
    guard: float | None = Field(
        default=0.7, ge=-1, le=1, description="a hard negative more similar to the target is left out; null keeps all"
    )


class ObjectivesConfig(BaseModel):
    """Which objectives, and how each is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    info_nce: InfoNceConfig | None = Field(
        default_factory=InfoNceConfig, description="InfoNCE over the global batch, with query negatives"
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> ObjectivesConfig:
        if not any(getattr(self, name) is not None for name in type(self).model_fields):
            raise ValueError("name at least one objective")
        return self
