"""Samples chosen by the hash of an id: bounded, and the same whoever draws them in whatever order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from schemas.ids import digest

Item = TypeVar("Item")


class Sample(Generic[Item]):
    """The `size` items with the smallest hash of their id."""

    def __init__(self, size: int, name: str = "report") -> None:
        self._size, self._name = size, name
        #: Largest hash first: a heap of negated ranks.
        self._heap: list[tuple[int, str, Item]] = []
        self._ids: set[str] = set()
        self.seen = 0

    def add(self, item_id: str, item: Item) -> None:
        """See one item; of equal ids the first stays."""
        self.seen += 1
        rank = -int(digest(self._name, item_id)[:15], 16)
        if item_id in self._ids or (len(self._heap) == self._size and rank <= self._heap[0][0]):
            return
        self._ids.add(item_id)
        heapq.heappush(self._heap, (rank, item_id, item))
        if len(self._heap) > self._size:
            self._ids.discard(heapq.heappop(self._heap)[1])

    @property
    def items(self) -> list[Item]:
        """The sample, in the order of the hashes."""
        return [item for _, _, item in sorted(self._heap, key=lambda one: (-one[0], one[1]))]


def sample(items: Iterable[Any], size: int, key: Callable[[Any], str], name: str = "report") -> list[Any]:
    """The `size` items with the smallest hash of their id."""
    chosen: Sample[Any] = Sample(size, name)
    for item in items:
        chosen.add(key(item), item)
    return chosen.items
