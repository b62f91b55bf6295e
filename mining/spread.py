"""Choosing a few of many at even distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` of the items at even distances, in order, the first and the last among them; all if there are fewer."""
    if len(items) <= count:
        return list(items)
    if count < 2:
        return list(items[:count])
    return [items[index * (len(items) - 1) // (count - 1)] for index in range(count)]
