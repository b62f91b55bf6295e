"""Settings of the miner `hard_rounds`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class HardRoundsConfig(BaseModel):
    """Settings of the miner `hard_rounds`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int | None = Field(
        default=None, ge=0, description="rounds of the output folder that count, oldest first; null is all"
    )
    depth: int = Field(
        default=20, ge=1, description="answers of the model that a round stores for each triplet, nearest first"
    )
    triplets: int = Field(
        default=200_000, ge=1, description="triplets of the train split that a round asks the model, chosen by hash"
    )
    answers: int = Field(default=2, ge=0, description="wrong answers of a mistake that become partners of new pairs")
    negatives: int = Field(
        default=3, ge=0, description="wrong answers of a mistake that become hard negatives of its pair"
    )
    from_query: bool = Field(default=True, description="pairs from the query image to a wrong answer")
    with_target: bool = Field(default=True, description="pairs of target and wrong answer, in both directions")
    similarity_min: float = Field(
        default=0.3, ge=-1, le=1, description="new pairs below this visual similarity are unrelated"
    )
    similarity_max: float = Field(
        default=0.95, ge=-1, le=1, description="new pairs above this visual similarity are the same"
    )

    @model_validator(mode="after")
    def _window_is_open(self) -> HardRoundsConfig:
        if self.similarity_min >= self.similarity_max:
            raise ValueError("similarity_min must lie below similarity_max")
        return self
