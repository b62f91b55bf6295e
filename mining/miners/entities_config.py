"""Settings of the miner `entities`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class EntitiesConfig(BaseModel):
    """Settings of the miner `entities`: which phrases name things, and which pairs of images of one thing are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrases: Literal["rules", "yake", "ner"] = Field(
        default="rules",
        description="what finds phrases: rules (capitalised runs and runs between stop words), yake (keywords by "
        "statistics, needs the extra phrases) or ner (a model of the hub for named entities)",
    )
    ner_model: str | None = Field(
        default=None, description="token-classification model of the hub (NAME, NAME@REVISION or a folder) for ner"
    )
    sources: tuple[Literal["text", "caption", "title"], ...] = Field(
        default=("text", "caption", "title"),
        min_length=1,
        description="where names are looked for: the image's text on its page, its caption by a model (where there is "
        "one), the title",
    )
    max_words: int = Field(default=5, ge=1, le=10, description="words of a name at most")
    alignment: Literal["text", "joint"] = Field(
        default="text",
        description="what chooses names for an image: text (cosine with its label, caption and text) or joint (cosine "
        "with the image itself, for models with towers of both)",
    )
    alignment_min: float = Field(
        default=0.35, ge=-1, le=1, description="names whose alignment with the image is below this are not its names"
    )
    title_alignment_min: float = Field(
        default=0.5, ge=-1, le=1, description="the same for names that only the page's title holds"
    )
    own_names: int = Field(
        default=1,
        ge=0,
        le=2,
        description="images of a pair, at least, whose own text or caption holds the name: titles often name the site",
    )
    names_per_image: int = Field(default=2, ge=1, le=10, description="best aligned names of an image that are kept")
    max_images: int = Field(
        default=1000, ge=2, description="a name on more images than this is generic (generic_entity)"
    )
    max_site_images: int = Field(
        default=30,
        ge=2,
        description="a name that only one site uses, on more images than this, is the site's subject (site_subject)",
    )
    compared: int = Field(
        default=200, ge=2, le=1000, description="images of one name that are compared, spread over sites and pages"
    )
    pairs_per_entity: int = Field(default=20, ge=1, description="pairs taken from one name")
    pairs_per_image: int = Field(default=2, ge=1, description="pairs of one name in which one image takes part")
    visual_min: float = Field(
        default=0.45, ge=-1, le=1, description="pairs below this visual similarity do not show the same thing"
    )
    visual_max: float = Field(default=0.95, ge=-1, le=1, description="pairs above this visual similarity are the same")
    min_hash_distance: int = Field(
        default=6, ge=0, le=64, description="pairs whose perceptual hashes differ in fewer bits are one picture"
    )
    equal_texts: Literal["drop", "keep"] = Field(
        default="drop",
        description="pairs whose images have the same text, or have none, and thus nothing to tell apart",
    )
    same_page: Literal["last", "drop", "equal"] = Field(
        default="last",
        description="pairs of one page: taken last, dropped, or treated like others (co_occurrence finds them too)",
    )
    apart_days: int = Field(
        default=30, ge=1, description="crawl dates this many days apart count as another time, which is preferred"
    )
    both_directions: bool = Field(default=True, description="a pair is given in both directions")
    negatives: int = Field(default=5, ge=0, description="hard negatives of a pair: other images of the name")

    @model_validator(mode="after")
    def _is_consistent(self) -> EntitiesConfig:
        if self.visual_min >= self.visual_max:
            raise ValueError("the window's lower end (visual_min) must lie below its upper end (visual_max)")
        if self.phrases == "ner" and not self.ner_model:
            raise ValueError("phrases: ner needs ner_model, for example dslim/bert-base-NER")
        return self
