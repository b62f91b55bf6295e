"""Settings of the miner `versions`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mining.version_tokens import Kind


class VersionsConfig(BaseModel):
    """Settings of the miner `versions`: in what the versions of a picture may differ, and which pairs are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[Kind, ...] = Field(
        default=(
            "language",
            "state",
            "season",
            "view",
            "colour",
            "year",
            "release",
            "step",
            "counter",
            "variant",
            "folder",
        ),
        min_length=1,
        description="what the two images of a pair may differ in; size is one of them and makes pairs of thumbnails",
    )
    near_equal_kinds: tuple[Kind, ...] = Field(
        default=("size",), description="kinds whose pairs may look the same; of other kinds such pairs are dropped"
    )
    min_hash_distance: int = Field(
        default=3,
        ge=0,
        le=64,
        description="images whose perceptual hashes differ in fewer bits look the same …",
    )
    near_equal_similarity: float = Field(
        default=0.98, ge=-1, le=1, description="… if their visual similarity is at least this (the hash sees no colour)"
    )
    visual_min: float = Field(
        default=0.4, ge=-1, le=1, description="pairs below this visual similarity are no versions of one thing"
    )
    loose_visual_min: float = Field(
        default=0.6,
        ge=-1,
        le=1,
        description="the same for loose_kinds, whose names say less, and for places on parallel pages",
    )
    counter_visual_min: float = Field(
        default=0.85, ge=-1, le=1, description="the same for running numbers of files (img_12), which say nothing"
    )
    loose_visual_max: float = Field(
        default=0.98,
        ge=-1,
        le=1,
        description="pairs of loose_kinds above this visual similarity are the same: nothing says that they differ",
    )
    loose_kinds: tuple[Kind, ...] = Field(
        default=("step", "counter", "variant", "folder", "year"), description="kinds whose pairs must look more alike"
    )
    max_values: int = Field(
        default=100, ge=2, le=1000, description="a template with more values than this is generic (generic_template)"
    )
    max_variants: int = Field(
        default=30,
        ge=2,
        le=1000,
        description="the same for variants: a beginning that more names share is a habit of the site",
    )
    step_distance: int = Field(
        default=1, ge=1, description="numbers and years pair with this many that follow them in their order"
    )
    pairs_per_template: int = Field(default=20, ge=1, description="pairs taken from one template")
    pairs_per_image: int = Field(default=3, ge=1, description="pairs of one template in which one image takes part")
    both_directions: bool = Field(default=True, description="a pair is given in both directions")
    negatives: int = Field(default=5, ge=0, description="hard negatives of a pair: other versions in the template")

    @model_validator(mode="after")
    def _is_consistent(self) -> VersionsConfig:
        if self.loose_visual_min >= self.loose_visual_max:
            raise ValueError("loose_visual_min must lie below loose_visual_max")
        if "size" in self.kinds and "size" not in self.near_equal_kinds:
            raise ValueError("kinds has size, whose pairs look the same: list size in near_equal_kinds too")
        return self
