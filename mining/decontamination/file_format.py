"""The file of a benchmark's fingerprints: one parquet whose metadata say of what, by which model and with which
settings it was made.

Its rows are of three kinds, each in row groups of its own, in this order: `cell` (centres of the cells of like
features), `image` (sorted by cell, then by name) and `gram` (n-grams of texts, sorted). So a search reads the images
in pieces and never all at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from mining.decontamination.config import FingerprintConfig
from schemas.ids import canonical_json
from schemas.table import field

#: Version of the format and of what it holds: another one is not read.
VERSION = 1
#: Rows of a row group of images, and of n-grams.
GROUP_IMAGES, GROUP_GRAMS = 8192, 1 << 20

SCHEMA = pa.schema(
    [
        field("kind", pa.string(), "cell, image or gram", False),
        field("name", pa.string(), "of an image its path in the benchmark's folder"),
        field("cell", pa.int32(), "number of the cell, or of the cell that the image is in"),
        field("hashes", pa.list_(pa.uint64()), "of an image the perceptual hashes of its variants, in their order"),
        field("sketch", pa.binary(), "int8 sketch of an image's features, or centre of a cell: see mining.sketches"),
        field("gram", pa.uint64(), "64-bit hash of an n-gram of words"),
    ]
)
_KEY = b"lensmith.fingerprints"


class FingerprintInfo(BaseModel):
    """What a fingerprint file says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=VERSION, description="version of the format")
    benchmark: str = Field(description="name of the benchmark")
    image_model: str = Field(description="NAME@REVISION of the model whose features were sketched")
    variants: tuple[str, ...] = Field(description="variants of an image whose hashes it holds")
    settings: FingerprintConfig = Field(description="settings that it was made with")
    max_pixels: int = Field(description="pixels of an image, at most")
    images: int = Field(description="images it holds")
    left_out: Mapping[str, int] = Field(description="images it does not hold, by reason")
    texts: int = Field(description="texts whose n-grams it holds")
    short_texts: int = Field(description="texts that are shorter than an n-gram")
    unreadable: Mapping[str, int] = Field(description="files of texts that could not be read, by reason")
    cells: int = Field(description="cells of like features")
    grams: int = Field(description="distinct n-grams")


def schema_of(info: FingerprintInfo) -> pa.Schema:
    """The schema with what the file says of itself in its metadata."""
    return SCHEMA.with_metadata({_KEY: canonical_json(info.model_dump(mode="json")).encode()})


def info_of(schema: pa.Schema) -> dict[str, Any] | None:
    """What the metadata of a file's schema hold, unchecked; None where it is no fingerprint file."""
    try:
        found = json.loads((schema.metadata or {})[_KEY])
    except (KeyError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def model_name(name: str, revision: str) -> str:
    """A model as fingerprint files name it."""
    return f"{name}@{revision}"


def image_model_of(models: str) -> str:
    """The image model in the column `models` of `annotations` (`NAME (REVISION); …`), as fingerprint files name it."""
    name, _, revision = models.partition("; ")[0].partition(" (")
    return model_name(name, revision.removesuffix(")"))
