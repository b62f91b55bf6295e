"""The settings of objectives: a section each, absent where it is not used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


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


class _Contrastive(_Objective):
    temperature: float = Field(default=0.05, gt=0, description="temperature at the start")
    learn_temperature: bool = Field(default=True, description="whether it is learned, down to 0.01")


class MemoryBankConfig(_Contrastive):
    """Queries against embeddings of the split's images that the stage's first model made once."""

    images: int | None = Field(
        default=100_000, ge=2, description="images of the bank at most, chosen by the seed; null is all of the split"
    )
    moving_targets: bool = Field(
        default=False, description="lets the stage train what makes targets too: the bank then grows stale"
    )


class SlerpCaptionsConfig(_Contrastive):
    """Triplets of captioned images and their neighbours in the batch."""

    templates: float = Field(
        default=0.75, ge=0, le=1, description="share of the texts that name both captions; the others are the caption"
    )
    toward: float = Field(
        default=0.5, ge=0, le=1, description="where the reference lies between the image (0) and its neighbour (1)"
    )
    words: int = Field(default=24, ge=1, description="words of a caption that are used, from its beginning")


class UncertaintyConfig(_Contrastive):
    """Queries against targets with noise, at first more and later less than against the targets as they are."""

    noise: float = Field(default=1.0, ge=0, description="strength of the noise; 1 is the paper's")
    length: float = Field(
        default=4.0, gt=0, description="length of the features to which noise is added: longer ones get more of it"
    )
    decay: float = Field(
        default=1.0, ge=0, description="how fast the noisy part fades: its share falls from 1 to exp(-decay)"
    )


class TextTripletsConfig(_Contrastive):
    """Captions with edits against the edited captions, all of them texts."""

    temperature: float = Field(default=0.07, gt=0, description="temperature at the start")
    learn_temperature: bool = Field(default=False, description="whether it is learned, down to 0.01")
    folder: str | None = Field(
        default=None,
        description="folder `text_triplets` of a run; null makes triplets of the texts of rows and of their images",
    )
    references: bool = Field(
        default=True, description="captions stand in the batch as pairs of their own: edits must lead away from them"
    )
    edits: int = Field(default=2, ge=1, description="edits of one caption in a batch at most, where it has so many")
    template: str = Field(default="{caption}, {edit}", description="how a caption and its edit are joined")
    words: int = Field(default=40, ge=1, description="words of a caption that are used: the edit comes behind them")

    @field_validator("template")
    @classmethod
    def _names_both(cls, given: str) -> str:
        try:
            said = given.format(caption="\0", edit="\1")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError("it is a text with {caption} and {edit}") from error
        if "\0" not in said or "\1" not in said:
            raise ValueError("it is a text with {caption} and {edit}")
        return given


class AlignmentConfig(_Contrastive):
    """Images against their texts, so that texts go on finding images."""

    captions: int = Field(default=2, ge=1, description="texts of an image in a batch, its own or nearest ones")
    pseudo_captions: bool = Field(
        default=True, description="an image without a text gets the nearest texts of the towers as they were published"
    )
    texts: str | None = Field(
        default=None, description="file with a text a line, from which pseudo-captions are taken beside the dataset's"
    )
    margin: float = Field(
        default=0.0, ge=0, lt=1.5, description="angle in radians that is added between an image and its own text"
    )
    check: bool = Field(
        default=True, description="how well texts find images is measured before the training and after every stage"
    )


class DistillationConfig(_Contrastive):
    """Queries of a small model against images in the space of a large one."""

    teacher: str = Field(
        description="image tower (name or folder) or model of Lensmith (folder) that embeds the gallery"
    )
    images: float = Field(
        default=1.0, ge=0, description="share of the distillation: images alone are drawn to the teacher's vectors"
    )
    teacher_temperature: float | None = Field(
        default=None,
        gt=0,
        description="the distillation follows the teacher's similarities at this temperature; null is each image alone",
    )
    query_negative: bool = Field(default=True, description="the teacher's query images are negatives of the queries")


class ObjectivesConfig(BaseModel):
    """Which objectives, and how each is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    info_nce: InfoNceConfig | None = Field(
        default_factory=InfoNceConfig, description="InfoNCE over the global batch, with query negatives"
    )
    memory_bank: MemoryBankConfig | None = Field(
        default=None, description="static negatives, for a stage that leaves targets as they are (SPN4CIR)"
    )
    slerp_captions: SlerpCaptionsConfig | None = Field(
        default=None, description="triplets made of images with captions (CoLLM)"
    )
    uncertainty: UncertaintyConfig | None = Field(
        default=None, description="coarse and fine matching of noisy targets (multi-grained uncertainty)"
    )

    text_triplets: TextTripletsConfig | None = Field(
        default=None, description="text triplets that train the text tower (RTD)"
    )
    alignment: AlignmentConfig | None = Field(
        default=None, description="images against their texts or pseudo-captions (MCIP, 2SFT)"
    )
    distillation: DistillationConfig | None = Field(
        default=None, description="queries in the space of a large frozen gallery tower (ISA)"
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> ObjectivesConfig:
        if not any(getattr(self, name) is not None for name in type(self).model_fields):
            raise ValueError("name at least one objective")
        return self
