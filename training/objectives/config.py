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

    @model_validator(mode="after")
    def _one_at_least(self) -> ObjectivesConfig:
        if not any(getattr(self, name) is not None for name in type(self).model_fields):
            raise ValueError("name at least one objective")
        return self
