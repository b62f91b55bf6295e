"""What images that meet under a key know of each other: few bytes, from which a pair's windows are computed."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mining.similarity import cosines, sketch_matrix

if TYPE_CHECKING:
    # The miners import this module.
    from mining.miners.interface import CorpusImage

#: Numbers, and bytes, of a short sketch at most.
SHORT = 300
#: Bytes of a note at most, so that the whole stays below the 400 of the interface.
MAX_NOTE = 48
_LAYOUT = struct.Struct("<8s8s8sHQIIhB")
_NOTHING = bytes(8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCALE = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """An image under a key. `page`, `site` and `text` are 8-byte digests (`text` all zeros without one), `day` counts
    from 1970 (0 without a date), `score` belongs to the miner (-3…3), `note` are its words, `sketch` is short."""

    image_id: str
    page: bytes
    site: bytes
    text: bytes
    day: int
    phash: int
    width: int
    height: int
    score: float
    note: str
    sketch: bytes

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    @classmethod
    def unpack(cls, image_id: str, data: bytes) -> Member:
        """Read what `pack` wrote."""
        page, site, text, day, phash, width, height, score, length = _LAYOUT.unpack_from(data)
        rest = data[_LAYOUT.size :]
        note = rest[:length].decode()
        return cls(image_id, page, site, text, day, phash, width, height, score / _SCALE, note, rest[length:])


def pack(image: CorpusImage, score: float = 0.0, note: str = "") -> bytes:
    """An image as its partners under a key see it, at most 395 bytes. `note` is cut at 48 bytes."""
    words = note.encode()[:MAX_NOTE].decode(errors="ignore").encode()
    folded = " ".join((image.text or "").casefold().split())
    head = _LAYOUT.pack(
        _short_digest(image.page_id),
        _short_digest(image.site),
        _short_digest(folded) if folded else _NOTHING,
        _day(image.crawl_date),
        image.phash,
        image.width,
        image.height,
        round(max(-3.0, min(3.0, score)) * _SCALE),
        len(words),
    )
    return head + words + short_sketch(image.sketch)


def unpack_members(members: Sequence[tuple[str, bytes]]) -> list[Member]:
    """The members of a key in the order of their ids."""
    return sorted((Member.unpack(image_id, data) for image_id, data in members), key=lambda one: one.image_id)


# An image has several keys, and packs the same sketch for each.
@lru_cache(maxsize=64)
def short_sketch(sketch: bytes) -> bytes:
    """A sketch (int8) folded with random signs to at most 300 numbers (int8) whose cosines are nearly the sketch's.

    A count sketch (Charikar et al. 2002) without its random buckets: cosines stray from c by about (1 - c²) / 17.
    """
    values = np.frombuffer(sketch, np.int8).astype(np.int32)
    if len(values) <= SHORT:
        return sketch
    folded = np.zeros(-(-len(values) // SHORT) * SHORT, np.int32)
    folded[: len(values)] = values * _signs(len(values))
    sums = folded.reshape(-1, SHORT).sum(axis=0)
    largest = int(np.abs(sums).max())
    return np.round(sums / max(largest, 1) * 127.0).astype(np.int8).tobytes()


def member_cosines(members: Sequence[Member]) -> npt.NDArray[np.float64]:
    """Visual similarities, float64 (n, n), rounded to 4 decimals."""
    matrix = sketch_matrix([one.sketch for one in members])
    return cosines(matrix, matrix)


def hash_distances(members: Sequence[Member]) -> npt.NDArray[np.int64]:
    """How many bits of the perceptual hashes differ, int64 (n, n)."""
    hashes = np.array([one.phash for one in members], np.uint64)
    return np.bitwise_count(hashes[:, None] ^ hashes[None, :]).astype(np.int64)


@lru_cache(maxsize=8)
def _signs(count: int) -> npt.NDArray[np.int32]:
    # From a hash, so that no library's generator can change them.
    stream = np.frombuffer(hashlib.shake_256(b"lensmith short sketch").digest((count + 7) // 8), np.uint8)
    return np.unpackbits(stream)[:count].astype(np.int32) * 2 - 1


def _short_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _day(date: datetime | None) -> int:
    if date is None:
        return 0
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0, min(65_535, (aware - _EPOCH) // timedelta(days=1)))
