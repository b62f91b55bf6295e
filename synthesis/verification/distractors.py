"""The images that a target must be told from: its most similar ones of the page, else of other pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.protocols import Float32Array

#: Distractors of a target.
COUNT = 3
#: Columns of `eligible` that are read for them.
COLUMNS = ("page_id", "image_id", "text", "sketch", "phash")
_DECIMALS = 4
#: Images of one perceptual hash that are this similar are one picture; flat ones share a hash by chance.
_COPY = 0.98


@dataclass(frozen=True)
class Distractor:
    """An image that is none of the two, and its text on its page."""

    image_id: str
    text: str | None


class Lookalikes:
    """The images of some pages: n places, ids, texts, perceptual hashes, sketches float32 (n, s) with their lengths."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        places = list(rows)
        self._ids: Sequence[str] = [row["image_id"] for row in places]
        self._texts: Sequence[str | None] = [row["text"] for row in places]
        self._hashes: Sequence[str] = [row["phash"] for row in places]
        self._sketches = _matrix([row["sketch"] for row in places])
        self._lengths = np.linalg.norm(self._sketches.astype(np.float64), axis=1)
        self._by_id = np.argsort(np.argsort(np.array(self._ids, dtype=str), kind="stable"), kind="stable")
        pages: dict[str, list[int]] = {}
        for number, row in enumerate(places):
            pages.setdefault(row["page_id"], []).append(number)
        self._pages = {name: np.array(numbers, np.int64) for name, numbers in pages.items()}
        #: Of the page in hand: (target, whole corpus or page) → numbers in the order of their likeness, and the scores.
        self._ordered: dict[tuple[int, bool], tuple[list[int], list[float]]] = {}
        self._page = ""

    def of(self, page_id: str, query_image_id: str, target_image_id: str) -> tuple[Distractor, ...]:
        """The most similar images to a target, at most three: those of its page first, by the cosine of their sketches
        (rounded to 4 decimals) and then by id; where the page has fewer, those of other pages. Never the query image,
        none twice, and no copy of the target (equal perceptual hash, and as good as equal to it)."""
        if page_id != self._page:
            self._page, self._ordered = page_id, {}
        page = self._pages[page_id]
        target = next(int(number) for number in page if self._ids[number] == target_image_id)
        seen = {query_image_id, target_image_id}
        found: list[Distractor] = []
        self._take(target, page, seen, found)
        if len(found) < COUNT:
            self._take(target, None, seen, found)
        return tuple(found)

    def _take(self, target: int, page: npt.NDArray[np.int64] | None, seen: set[str], found: list[Distractor]) -> None:
        key = (target, page is None)
        if key not in self._ordered:
            self._ordered[key] = self._by_likeness(target, np.arange(len(self._ids)) if page is None else page)
        for number, score in zip(*self._ordered[key], strict=True):
            if len(found) == COUNT:
                return
            copy = self._hashes[number] == self._hashes[target] and score >= _COPY
            if self._ids[number] not in seen and not copy:
                seen.add(self._ids[number])
                found.append(Distractor(self._ids[number], self._texts[number]))

    def _by_likeness(self, target: int, numbers: npt.NDArray[np.int64]) -> tuple[list[int], list[float]]:
        """Numbers by their cosine with the target, and the cosines. Products of int8 sketches are whole numbers below
        2**24, which float32 adds up exactly in any order."""
        every = len(numbers) == len(self._ids)
        products = ((self._sketches if every else self._sketches[numbers]) @ self._sketches[target]).astype(np.float64)
        lengths = self._lengths[numbers] * self._lengths[target]
        scores = np.round(products / np.where(lengths > 0, lengths, 1.0), _DECIMALS)
        order = np.lexsort((self._by_id[numbers], -scores))
        return numbers[order].tolist(), scores[order].tolist()


def _matrix(sketches: Sequence[bytes]) -> Float32Array:
    if not sketches:
        return np.zeros((0, 0), np.float32)
    return np.stack([np.frombuffer(one, np.int8) for one in sketches]).astype(np.float32)
