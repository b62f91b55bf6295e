"""The interfaces of miners: images in, ordered pairs out.

A page miner sees the images of one page. The miners of a whole corpus see one image of each content, at the place that
stands for it (`CorpusImage`): a neighbour miner gets the lists of an image's nearest neighbours, a meeting miner names
the keys under which images meet, and pairs those that met. What they find (`Found`) are ids; facts are joined later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mining.places import EligibleImage, PageRecord
from schemas.ids import pair_id
from schemas.outcomes import Outcomes

Float32Array = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]


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


@dataclass(frozen=True, slots=True)
class CorpusImage:
    """An image of the corpus at the one place that stands for it.

    `phash` is the 64-bit perceptual hash, `sketch` the bytes that `mining.sketches` compares, `embedding` the text's
    sentence embedding (float32, unit length), `position` the place's number on its page.
    """

    image_id: str
    url: str
    page_id: str
    page_url: str
    site: str
    position: int
    width: int
    height: int
    phash: int
    sketch: bytes
    page_title: str | None = None
    language: str | None = None
    crawl_date: datetime | None = None
    text: str | None = None
    label: str | None = None
    caption: str | None = None
    embedding: Float32Array | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest images of one image in one view, nearest first, ties by id, itself left out.

    `scores`: cosines, rounded to 4 decimals.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """An ordered pair that a miner of the corpus found. `score`: more is better, rounded to 4 decimals; `why`: in a few
    words, stored beside the miner's name; `negatives`: image ids that look right and are not, best first; boxes: where
    an object stands that both show, x, y, width, height as shares of the image."""

    query_id: str
    target_id: str
    score: float
    why: str
    negatives: tuple[str, ...] = ()
    query_box: Box | None = None
    target_box: Box | None = None


class NeighbourMiner(Protocol):
    """Makes pairs from lists of nearest neighbours.

    `views` says which lists it wants and how long: name of the view (`image`, `pattern`, `caption`, `text`) → k.
    """

    name: str
    views: Mapping[str, int]

    def find(self, image_id: str, lists: Mapping[str, Neighbours], outcomes: Outcomes) -> Iterator[Found]:
        """Pairs around one image; one that two views give may come twice. A view in which the image has no vector is
        not in `lists`; that of its text may come in a call of its own, if another part of the corpus holds its place.

        Reports every neighbour that it looked at as a `candidate_pair`."""


class MeetingMiner(Protocol):
    """Makes pairs of images that meet under a key: an entity, a template of addresses."""

    name: str

    def keys(self, image: CorpusImage) -> Iterable[tuple[str, bytes]]:
        """Keys of an image, each once, with what its partners must know of it: at most 400 bytes."""

    def find(self, key: str, members: Sequence[tuple[str, bytes]]) -> Iterator[Found]:
        """Pairs among the images (id, what `keys` said) of a key, sorted by id; at most some thousands."""
