"""Settings of `publish_dataset`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SplitShares(BaseModel):
    """Shares of the units (sites or pages) that each split gets; they add up to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: float = Field(default=0.9, ge=0, le=1, description="share of the units whose triplets are for training")
    validation: float = Field(default=0.05, ge=0, le=1, description="share of the units for choosing settings")
    test: float = Field(default=0.05, ge=0, le=1, description="share of the units for the final figures")

    @model_validator(mode="after")
    def _add_up(self) -> SplitShares:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError(f"the split shares add up to {self.train + self.validation + self.test:g}, not to 1")
        return self


class ChainsConfig(BaseModel):
    """Settings of the configuration `chains`: triplets in a row, for search in several turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_turns: int = Field(default=2, ge=2, description="triplets of the shortest chains")
    max_turns: int = Field(default=4, ge=2, le=32, description="triplets of the longest chains")
    triplet_cap: int = Field(default=1, ge=1, description="chains in which a triplet may stand")
    page_cap: int = Field(
        default=20, ge=1, description="chains of one page or group; with `across`, chains that begin on one page"
    )
    across: bool = Field(
        default=False, description="chains may lead from page to page, among triplets of one shard of the run"
    )

    @model_validator(mode="after")
    def _ordered(self) -> ChainsConfig:
        if self.min_turns > self.max_turns:
            raise ValueError(
                f"min_turns ({self.min_turns}) is above max_turns ({self.max_turns}): lower the one or raise the other"
            )
        return self


class PublishConfig(BaseModel):
    """Settings of `publish_dataset`: what goes into `dataset/` and how it is cut into files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="lensmith-triplets", min_length=1, description="name of the dataset, in the card and in Croissant"
    )
    title: str = Field(default="Composed image retrieval triplets", min_length=1, description="title line of the card")
    license: str = Field(
        default="other",
        min_length=1,
        description="licence identifier of the dataset as the hub knows them; 'other' leaves each row its own",
    )
    license_name: str = Field(
        default="see-the-license-column", description="name of the licence in the card where `license` is 'other'"
    )
    license_link: str | None = Field(default=None, description="address of the licence text where `license` is 'other'")
    homepage: str | None = Field(
        default=None, description="address of the dataset's home, in the card and in Croissant"
    )
    contact: str | None = Field(
        default=None, description="where owners of pages and images ask for removal, in the card"
    )
    seed: int = Field(default=0, description="seed of the splits")
    split_unit: Literal["domain", "page"] = Field(
        default="domain",
        description="what is never cut by a split: a registrable domain, or a page (for crawls of few sites)",
    )
    shares: SplitShares = Field(default_factory=SplitShares, description="share of the units in each split")
    near_duplicate_distance: int = Field(
        default=3, ge=0, le=3, description="bits of the perceptual hash by which images differ that still share a split"
    )
    include_bytes: bool = Field(
        default=True, description="publish `triplets` with both images; off, `ids` is the default configuration"
    )
    blur_faces: str = Field(
        default="none",
        min_length=1,
        description="blur faces in published images: none, haar (inside OpenCV's package), or the path of YuNet's file",
    )
    chains: ChainsConfig | None = Field(
        default=None,
        description="publish chains of triplets as the configuration `chains`: `{}`, or with `min_turns` (2), "
        "`max_turns` (4), `triplet_cap` (1), `page_cap` (20), `across` (false)",
        json_schema_extra={"absent_if_null": True},
    )
    target_bytes: int = Field(default=256 << 20, gt=0, description="size at which a parquet file is full, in bytes")
    row_group_min_bytes: int = Field(
        default=4 << 20, gt=0, description="a row group closes once it holds this many bytes"
    )
    row_group_max_bytes: int = Field(
        default=8 << 20, gt=0, description="a row group closes before a row that would take it past this many bytes"
    )
    row_group_rows: int = Field(default=256, gt=0, description="a row group never holds more rows")

    @property
    def without_chains(self) -> PublishConfig:
        """What decides all files but those of `chains`."""
        return self.model_copy(update={"chains": None})

    @model_validator(mode="after")
    def _row_groups_fit(self) -> PublishConfig:
        if self.row_group_min_bytes > self.row_group_max_bytes:
            raise ValueError("row_group_min_bytes is larger than row_group_max_bytes")
        return self
