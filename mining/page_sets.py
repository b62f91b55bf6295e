"""Pages whose sets of images are equal or overlap almost wholly: mirrors, print views, listings sorted otherwise.

A page is left out if a page that goes before it shares enough of its images. The order is the same everywhere: more
images go first, then the shorter address, then the smaller page id. So the verdict on a page depends on no order of
processing, and pages that are added later can only take the place of poorer ones.

Sets travel as sketches of at most 500 bytes. Pages meet in the buckets of `band_keys` (MinHash, and one key for equal
sets); an index step keeps `representatives` of each bucket and hands them back to the bucket's pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

#: More images than this enter pairing on no page: a sketch must fit into a message of an index step.
MAX_SET_IMAGES = 60
#: With 5 rows in 16 bands, sets that share 0.8 of their images meet with a chance of 0.998, 0.9 with 0.9999999.
_BANDS, _ROWS = 16, 5
_HEADER = 18
_SEEDS = np.random.Generator(np.random.PCG64(20240328)).integers(0, 2**63, _BANDS * _ROWS, np.uint64)
_MULTIPLIERS = _SEEDS * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True, slots=True)
class PageSet:
    """The images of one page as the sorted 64-bit heads of their ids, and what the page's rank is made of."""

    heads: tuple[int, ...]
    url_length: int
    page_id: str

    @property
    def rank(self) -> tuple[int, int, str]:
        """Of two overlapping pages the one with the smaller rank is mined."""
        return (-len(self.heads), self.url_length, self.page_id)

    def to_bytes(self) -> bytes:
        """The sketch: 2 bytes for the length of the address (capped), 16 for the page, 8 for each image."""
        return self.url_length.to_bytes(2, "big") + bytes.fromhex(self.page_id) + _pack(self.heads)

    @classmethod
    def from_bytes(cls, data: bytes) -> PageSet:
        """Read a sketch. Raises ValueError on bytes that are none."""
        if len(data) < _HEADER or (len(data) - _HEADER) % 8:
            raise ValueError(f"a page set has {_HEADER} + 8 n bytes, not {len(data)}")
        heads = tuple(int(head) for head in np.frombuffer(data, ">u8", offset=_HEADER))
        return cls(heads, int.from_bytes(data[:2], "big"), data[2:_HEADER].hex())


def page_set(page_id: str, url: str, image_ids: Iterable[str]) -> PageSet:
    """The set of a page's images from their ids (64 hex digits); order and repetitions do not matter.

    Raises ValueError on more than `MAX_SET_IMAGES` images.
    """
    heads = sorted({int(image_id[:16], 16) for image_id in image_ids})
    if len(heads) > MAX_SET_IMAGES:
        raise ValueError(f"a page set holds at most {MAX_SET_IMAGES} images, not {len(heads)}")
    return PageSet(tuple(heads), min(len(url), 0xFFFF), page_id)


def band_keys(page: PageSet) -> list[str]:
    """The buckets (17 short strings) in which a page's set meets those that share most of its images."""
    keys = [f"=:{_digest(_pack(page.heads))}"]
    if page.heads:
        heads = np.array(page.heads, np.uint64)[:, None]
        # Ids are uniform already, so that a product with an odd number, mixed with its high half, ranks them anew.
        hashed = heads * _MULTIPLIERS
        minima = ((hashed ^ (hashed >> np.uint64(32))) * _MULTIPLIERS[::-1]).min(axis=0)
        bands = minima.astype(">u8").reshape(_BANDS, _ROWS)
        keys += [f"{band:x}:{_digest(bands[band].tobytes())}" for band in range(_BANDS)]
    return keys


def overlap(one: PageSet, other: PageSet) -> float:
    """Shared part of two sets (Jaccard), 0…1; two empty sets share nothing."""
    first, second = set(one.heads), set(other.heads)
    return len(first & second) / len(first | second) if first or second else 0.0


def representatives(sketches: Iterable[bytes], limit: int = 8) -> list[bytes]:
    """Of the sketches in one bucket those that go first, at most `limit`, whatever the order in which they come."""
    ranks = {sketch: PageSet.from_bytes(sketch).rank for sketch in sketches}
    return sorted(ranks, key=lambda sketch: (ranks[sketch], sketch))[:limit]


def superseded_by(page: PageSet, others: Iterable[bytes], threshold: float) -> tuple[str, PageSet] | None:
    """The reason (`same_image_set` or `overlapping_image_set`) and the page that is mined instead, or None.

    `others` are sketches of the page's buckets, the page's own among them or not. A page with an equal set is named
    before others, then the one with the smallest rank.
    """
    better = [other for other in map(PageSet.from_bytes, set(others)) if other.rank < page.rank]
    found = [other for other in better if overlap(page, other) >= threshold]
    if not found:
        return None
    other = min(found, key=lambda other: (other.heads != page.heads, other.rank))
    return ("same_image_set" if other.heads == page.heads else "overlapping_image_set"), other


def _pack(heads: Iterable[int]) -> bytes:
    return np.array(list(heads), ">u8").tobytes()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]
