"""Which images of better rank are near an image by their features: what a search of one part for another one gives.

Both directions of a pair are looked at once: the worse image of a pair lists the better one, in whichever part it lies.
Of an image that very many better ones are near to only the best are listed, and its list is *cut*: where all that are
listed turn out to be rejected, those behind them are asked for. So a part writes a bounded number of bytes an image,
however many look the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mining.search.index import PartSearch
from mining.search.vectors import ViewVectors

Int64Array = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

#: Bytes of a rank, and of the pixels that it begins with.
RANK, _PIXELS = 40, 8
_MOST = np.uint64(2**64 - 1)
#: Images that are searched together, and pairs that may wait beyond those that are kept.
_BLOCK, _WAITING = 4096, 1 << 22
#: What no image ranks behind, and what every one does.
_NEVER, _FIRST = np.iinfo(np.int64).max, -1


def rank_bytes(ids: Sequence[str], areas: Sequence[int]) -> Bytes:
    """Ranks of images, uint8 (n, 40): as bytes they sort by `mining.near_duplicates.Rank`, more pixels first."""
    pixels = (_MOST - np.array(areas, np.uint64)).astype(">u8").view(np.uint8).reshape(-1, _PIXELS)
    names = np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(-1, RANK - _PIXELS)
    return np.concatenate([pixels, names], axis=1)


def id_of(rank: bytes) -> str:
    """The image that has a rank."""
    return rank[_PIXELS:].hex()


@dataclass(frozen=True)
class Side:
    """One part as it searches, and is searched for: its vectors, and the ranks of their images uint8 (n, 40).

    `index`: what `mining.search.index.fill` gave, None where the search is exact; `after`: image id → the rank behind
    which its list begins, of those that ask again; None where all ask for the first time."""

    vectors: ViewVectors
    ranks: Bytes
    index: bytes | None = None
    after: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class NearLists:
    """Lists of m images, the best first: the images' ranks uint8 (m, 40), lengths of their lists int64 (m), one list
    behind the other the ranks of the better images uint8 (k, 40), and whether a list is cut, bool (m)."""

    ranks: Bytes
    lengths: Int64Array
    near: Bytes
    cut: npt.NDArray[np.bool_]


def near_lists(
    one: Side, other: Side | None, bound: float, limit: int, probes: int = 0
) -> tuple[NearLists, NearLists | None]:
    """The lists of the images of one part whose better ones lie in the other, and the reverse; without another one
    those of a part with itself. Each list names at most `limit` images.

    Two images are near if their score, rounded to 4 decimals, is at least `bound`, and if an index finds one of them
    when it is searched for the other: an exact one finds both, and is searched in one direction."""
    sides = [one] if other is None else [one, other]
    numbers, ranks = _numbered([side.ranks for side in sides] + [_after_ranks(side) for side in sides])
    lists = [_Lists(_floor(side, after), limit) for side, after in zip(sides, numbers[len(sides) :], strict=True)]
    _search(one, sides[-1], bound, probes, (numbers[0], numbers[len(sides) - 1]), (lists[0], lists[-1]))
    if other is not None and other.index is not None:
        _search(other, one, bound, probes, (numbers[1], numbers[0]), (lists[1], lists[0]))
    found = [kept.lists(side.ranks, ranks) for kept, side in zip(lists, sides, strict=True)]
    return found[0], found[1] if other is not None else None


def _search(
    asking: Side,
    part: Side,
    bound: float,
    probes: int,
    numbers: tuple[Int64Array, Int64Array],
    lists: tuple[_Lists, _Lists],
) -> None:
    """Add what is found in one direction; `numbers`: ranks of both sides' images as numbers."""
    search = PartSearch(part.vectors, part.index, probes)
    for first in range(0, len(asking.vectors.ids), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(asking.vectors.ids)))
        lengths, places, _ = search.near(asking.vectors.take(rows.tolist()), bound)
        ones = np.repeat(rows, lengths)
        own, others = numbers[0][ones], numbers[1][places]
        better = others < own
        lists[0].add(ones[better], others[better])
        lists[1].add(places[~better], own[~better])


@dataclass
class _Lists:
    """Pairs of one side's images with better ones as they are found; no more of them are kept than lists need."""

    after: Int64Array
    limit: int
    _worse: list[Int64Array] = field(default_factory=list)
    _better: list[Int64Array] = field(default_factory=list)
    _size: int = 0
    _full: int = _WAITING

    def add(self, worse: Int64Array, better: Int64Array) -> None:
        """Rows of images, and numbers of the ranks of better ones."""
        kept = better > self.after[worse]
        self._worse.append(worse[kept])
        self._better.append(better[kept])
        self._size += len(self._worse[-1])
        if self._size > self._full:
            self._prune()

    def lists(self, own: Bytes, ranks: Bytes) -> NearLists:
        """What is kept; `own`: ranks of the side's images, `ranks` those of all, by number."""
        self._prune()
        rows, starts, lengths = np.unique(self._worse[0], return_index=True, return_counts=True)
        cut = lengths > self.limit
        within = np.arange(self._size) - np.repeat(starts, lengths)
        near = ranks[self._better[0][within < self.limit]]
        return NearLists(own[rows], np.minimum(lengths, self.limit), near, cut)

    def _prune(self) -> None:
        """Each pair once, sorted, and of an image one more than its list may have: that shows that it is cut."""
        nothing = np.zeros(0, np.int64)
        worse, better = (np.concatenate([nothing, *parts]) for parts in (self._worse, self._better))
        order = np.lexsort((better, worse))
        worse, better = worse[order], better[order]
        new = np.ones(len(worse), bool)
        new[1:] = (worse[1:] != worse[:-1]) | (better[1:] != better[:-1])
        worse, better = worse[new], better[new]
        _, starts, lengths = np.unique(worse, return_index=True, return_counts=True)
        kept = np.arange(len(worse)) - np.repeat(starts, lengths) <= self.limit
        self._worse, self._better = [worse[kept]], [better[kept]]
        self._size = len(self._worse[0])
        self._full = _WAITING + 2 * self._size


def _numbered(sets: Sequence[Bytes]) -> tuple[list[Int64Array], Bytes]:
    """Ranks of several sets as numbers in their common order, and the rank of each number."""
    joined = np.ascontiguousarray(np.concatenate(sets))
    words = joined.view(">u8").astype(np.uint64)
    order = np.lexsort(words.T[::-1])
    new = np.ones(len(order), bool)
    new[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    numbers = np.zeros(len(order), np.int64)
    numbers[order] = np.cumsum(new) - 1
    return np.split(numbers, np.cumsum([len(one) for one in sets])[:-1]), joined[order[new]]


def _after_ranks(side: Side) -> Bytes:
    """The ranks behind which lists begin, in the order of the images that ask again."""
    asked = [side.after[one] for one in side.vectors.ids if one in side.after] if side.after else []
    return np.frombuffer(b"".join(asked), np.uint8).reshape(-1, RANK)


def _floor(side: Side, after: Int64Array) -> Int64Array:
    """For each image the number of the rank behind which its list begins."""
    if side.after is None:
        return np.full(len(side.vectors.ids), _FIRST, np.int64)
    asked = np.array([one in side.after for one in side.vectors.ids], bool)
    floor = np.full(len(asked), _NEVER, np.int64)
    floor[asked] = after
    return floor
