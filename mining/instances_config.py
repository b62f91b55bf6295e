"""Settings of the miner `instances`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mining.geometric_verification import VerificationConfig
from mining.local_features import LocalFeaturesConfig
from mining.object_crops import ObjectCropsConfig
from schemas.settings import settings_digest


class InstancesConfig(BaseModel):
    """Settings of the miner `instances`: which pairs show one object in two scenes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int = Field(default=30, ge=1, description="nearest images that are compared with an image")
    pairs_per_query: int = Field(default=3, ge=1, description="pairs that share a query image")
    directions: Literal["both", "larger_first"] = Field(
        default="both",
        description="both: a pair and its reverse; larger_first: the query is where the object fills more of the image",
    )
    frame_overlap_max: float = Field(
        default=0.6, ge=0, le=1, description="above this the two frames coincide: one view, one screen, one plot's axes"
    )
    likeness_max: float = Field(
        default=0.9,
        ge=-1,
        le=1,
        description="correlation where the images overlap; above this one is the other, cropped or recoloured",
    )
    plain_max: float = Field(
        default=0.22,
        ge=0,
        le=1,
        description="share of the box whose pixels equal their neighbours; above it is text, toolbar or drawing",
    )
    entropy_min: float = Field(
        default=2.6, ge=0, le=9, description="entropy of the box's colours in bits; below this it is sky, wall or axes"
    )
    middle_min: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the box in the middle of at least one image (0.2 to 0.8 of its sides), or of the middle "
        "in the box; below this the object is somewhere else",
    )
    area_min: float = Field(default=0.01, ge=0, le=1, description="share of either image that the box covers, at least")
    negatives: int = Field(
        default=5, ge=0, description="hard negatives: nearest images of which not enough points match at all"
    )
    features: LocalFeaturesConfig = Field(
        default_factory=LocalFeaturesConfig, description="settings of the local features"
    )
    verification: VerificationConfig = Field(
        default_factory=VerificationConfig, description="settings of the geometric verification"
    )
    crops: ObjectCropsConfig = Field(
        default_factory=ObjectCropsConfig,
        description="detector crops, searched among whole images beside the images' own neighbours",
    )

    @property
    def comparing(self) -> str:
        """Digest of what decides how two images are compared, with or without crops."""
        return settings_digest(self.model_copy(update={"crops": ObjectCropsConfig()}))
