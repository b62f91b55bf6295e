"""The interface of miners: the images of one page in, ordered pairs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mining.places import EligibleImage, PageRecord
from schemas.ids import pair_id
from schemas.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Pair:
    """An ordered pair of images of one page. Similarities are cosines, rounded to 4 decimals."""

    page_id: str
    query: EligibleImage
    target: EligibleImage
    visual_similarity: float
    text_similarity: float | None

    @property
    def pair_id(self) -> str:
        """Id made of the page and both images."""
        return pair_id(self.page_id, self.query.image_id, self.target.image_id)


class Miner(Protocol):
    """Makes ordered pairs from the images of a page."""

    name: str

    def mine(self, page: PageRecord, images: Sequence[EligibleImage], outcomes: Outcomes) -> Iterator[Pair]:
        """The page's pairs, best spread first.

        Reports the unit `candidate_pair`: every ordered pair that was looked at enters, and is kept or rejected.
        `images` are distinct and in page order.
        """
