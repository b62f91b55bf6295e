"""Settings of `annotate_images`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: Names of the models that come inside packages.
LOCAL_IMAGES, LOCAL_TEXTS = "efficientnet-lite0", "all-MiniLM-L6-v2"


class AnnotateConfig(BaseModel):
    """Settings of `annotate_images`: which models look at images, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_model: str = Field(
        default=LOCAL_IMAGES,
        description="'efficientnet-lite0' (in a package), or NAME, NAME@REVISION or folder of a CLIP-like model",
    )
    text_model: str = Field(
        default=LOCAL_TEXTS,
        description="'all-MiniLM-L6-v2' (in a package), or NAME, NAME@REVISION or folder of a CLIP-like model",
    )
    safety_model: Literal["open_nsfw"] | None = Field(default="open_nsfw", description="safety model; null for none")
    caption_model: str | None = Field(
        default=None, description="NAME, NAME@REVISION or folder of an image-to-text model like BLIP; null for none"
    )
    pattern_model: str | None = Field(
        default=None,
        description="NAME, NAME@REVISION or folder of a vision model such as facebook/dinov2-base, whose features are "
        "the view `pattern` of images; null compares perceptual hashes there",
        json_schema_extra={"absent_if_null": True},
    )
    generated_model: str | None = Field(
        default=None,
        description="NAME, NAME@REVISION or folder of an image classifier that tells generated images; null for none",
    )
    generated_label: str | None = Field(
        default=None,
        description="its class for generated images, several with commas; null takes those named like 'artificial'",
    )
    device: str = Field(
        default="cpu", description="where models of transformers run: cpu, cuda, cuda:1 …; others run on the CPU"
    )
    max_pixels: int = Field(default=80_000_000, gt=0, description="pixels of an image, at most")
    batch: int = Field(
        default=16,
        ge=1,
        description="images, or texts, in one call of a model; it moves the last bits of models of transformers",
    )
    threads: int = Field(default=1, ge=1, description="threads of one model", json_schema_extra={"operational": True})
