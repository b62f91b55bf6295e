"""What pairing reads: a page, the places of images on it, and what is known of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PageRecord:
    """The columns of a row of `pages` that pairing reads."""

    page_id: str
    url: str
    site: str
    title: str | None = None
    language: str | None = None
    license: str | None = None
    opt_out: str | None = None
    crawl_date: datetime | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PageRecord:
        """Read a row of `pages`; other columns are ignored."""
        return cls(
            row["page_id"],
            row["url"],
            row["site"],
            row.get("title"),
            row.get("language"),
            row.get("license"),
            row.get("opt_out"),
            row.get("crawl_date"),
        )


@dataclass(frozen=True, slots=True)
class PlaceRecord:
    """One row of `page_images` with the image that its address led to and the text that describes it there.

    `embedding` is the text's sentence embedding, float32 of unit length, or None without a text.
    """

    position: int
    url: str
    group: int
    chosen: bool
    image_id: str | None = None
    text: str | None = None
    embedding: Float32Array | None = field(default=None, compare=False)

    @classmethod
    def from_row(
        cls,
        row: Mapping[str, Any],
        image_id: str | None,
        text: str | None = None,
        embedding: npt.NDArray[np.floating[Any]] | None = None,
    ) -> PlaceRecord:
        """Read a row of `page_images`, with what its address and its text were resolved to."""
        vector = None if embedding is None else np.asarray(embedding, np.float32)
        return cls(row["position"], row["url"], row["group"], bool(row["chosen"]), image_id, text or None, vector)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The columns of a row of `annotations` that pairing reads, and the image's own opt-out signals.

    `phash` is the 64-bit perceptual hash as a number; `sketch` the bytes that `mining.sketches` compares;
    `removed`: the reason for which the whole crawl does without the image, and a detail behind a blank;
    `pattern_sketch` and `caption_sketch` are there where a search of the corpus compares them.
    """

    image_id: str
    width: int
    height: int
    phash: int
    flatness: float
    sketch: bytes
    format: str = ""
    animated: bool = False
    label: str | None = None
    label_score: float | None = None
    nsfw: float | None = None
    opt_out: str | None = None
    generated: str | None = None
    generated_score: float | None = None
    removed: str | None = None
    caption: str | None = None
    pattern_sketch: bytes | None = None
    caption_sketch: bytes | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any], opt_out: str | None = None) -> ImageFacts:
        """Read a row of `annotations`; `opt_out` comes from the rows of `images`."""
        return cls(
            row["image_id"],
            row["width"],
            row["height"],
            int(row["phash"], 16),
            row["flatness"],
            row["sketch"],
            row["format"],
            row["animated"],
            row.get("label"),
            row.get("label_score"),
            row.get("nsfw"),
            opt_out,
            row.get("generated"),
            row.get("generated_score"),
            caption=row.get("caption"),
            pattern_sketch=row.get("pattern_sketch"),
            caption_sketch=row.get("caption_sketch"),
        )

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class EligibleImage:
    """An image at its place on a page, as the miners see it."""

    position: int
    url: str
    facts: ImageFacts
    text: str | None = None
    embedding: Float32Array | None = field(default=None, compare=False)

    @property
    def image_id(self) -> str:
        """Id of the image."""
        return self.facts.image_id


@dataclass(frozen=True, slots=True)
class PageCounts:
    """How widely a page's images are used: what only an index step over the whole crawl knows.

    `site_pages`: pages of the page's site; `image_pages`: image id → pages of the site that show it;
    `address_pages`: address → pages of the crawl that name it. Missing keys count as 1.
    """

    site_pages: int = 1
    image_pages: Mapping[str, int] = field(default_factory=dict)
    address_pages: Mapping[str, int] = field(default_factory=dict)


def place_id(page: PageRecord, position: int) -> str:
    """Id of a place in `rejected/mine_pairs`: the page's id and the position on it."""
    return f"{page.page_id}:{position}"
