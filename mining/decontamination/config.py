"""Settings of decontamination: what is made of a benchmark, and when something matches it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from mining.decontamination.ngrams import WORDS


class DecontaminationConfig(BaseModel):
    """Settings of decontamination: fingerprint files, and how near an image or a text may come to what they hold.

    An image matches by its hash, which its features must not gainsay, by its features, which its hash must not
    gainsay, or by features that are nearly equal. docs/decontamination.md has the measurements behind the defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The digests of the files decide the output, not where they lie: see `run_decontaminate`.
    files: tuple[str, ...] = Field(
        default=(),
        description="files of `lensmith fingerprint`: what matches one of these benchmarks is dropped",
        json_schema_extra={"operational": True},
    )
    hash_distance: int = Field(
        default=8, ge=0, le=15, description="bits by which an image's perceptual hash may differ from a benchmark's …"
    )
    hash_similarity: float = Field(
        default=0.35, ge=-1, le=1, description="… if the visual similarity of both is at least this"
    )
    feature_similarity: float = Field(
        default=0.85, ge=-1, le=1, description="visual similarity from which an image matches one of a benchmark …"
    )
    feature_distance: int = Field(
        default=16,
        ge=0,
        le=64,
        description="… if its hash differs from that of one of its variants (mirrored, cut) by at most so many bits",
    )
    feature_alone: float = Field(
        default=0.92, ge=-1, le=1, description="visual similarity from which an image matches whatever its hash"
    )
    text_ngrams: int = Field(
        default=1,
        ge=0,
        description="n-grams of words that a text may not share with a benchmark's texts, this many or more; "
        "0 compares no texts",
    )


class FingerprintConfig(BaseModel):
    """Settings of `lensmith fingerprint`; the file holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_flatness: float = Field(
        default=0.98,
        gt=0,
        le=1,
        description="images of which more has one grey level band are left out: every blank one would match them",
    )
    words: int = Field(default=WORDS, ge=2, le=64, description="words of an n-gram")
    cell_images: int = Field(default=1000, ge=1, description="images in one cell of the index of features, on average")
