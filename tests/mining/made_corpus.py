"""Constructed images of a corpus, and a text encoder that needs no model."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import made_places as made
import numpy as np

from mining.miners.interface import CorpusImage, MeetingMiner

START = datetime(2026, 1, 1, tzinfo=UTC)


def image(name: str, *, like: int = 1, share: float = 0.75, **fields: object) -> CorpusImage:
    """An image whose features, of 896 numbers, are `share` those of a scene (number `like`)."""
    known = made.facts(name)
    number = int(known.image_id[:8], 16)
    values: dict[str, object] = {
        "image_id": known.image_id,
        "url": f"http://a.example/{name}.jpg",
        "page_id": f"page of {name}",
        "page_url": f"http://a.example/{name}.html",
        "site": "a.example",
        "position": 0,
        "width": 400,
        "height": 300,
        "phash": known.phash,
        "sketch": made.sketch(number, like=like, share=share, length=448),
        "crawl_date": START,
    }
    return CorpusImage(**{**values, **fields})  # type: ignore[arg-type]


def resized(one: CorpusImage, name: str, **fields: object) -> CorpusImage:
    """A copy in another size: other bytes, the same look."""
    return replace(one, image_id=made.image_id(name), width=100, height=75, **fields)  # type: ignore[arg-type]


class BagOfWords:
    """A text encoder: cosines are those of the words that two texts share."""

    name, revision, dimension = "bag of words", "1", 256

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % self.dimension] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-9))


def meetings(miner: MeetingMiner, images: Iterable[CorpusImage]) -> dict[str, list[tuple[str, bytes]]]:
    """The members of each key, sorted by id, as an index step would bring them together."""
    found: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for one in images:
        told = list(miner.keys(one))
        assert len({key for key, _ in told}) == len(told), "each key once"
        for key, value in told:
            assert len(value) <= 400
            found[key].append((one.image_id, value))
    return {key: sorted(members) for key, members in sorted(found.items())}
