"""What a step embeds: items, each an image with a text, collected once however many objectives ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Item:
    """What one embedding is of: an image (by its number in the store), a text, or both; `""` is no text.

    With `toward` the image is a point on the way to a second image: Slerp of their features at `share`. The view
    `fused` is the model's embedding; `text_tower` and `image_tower` are what one tower alone gives, mapped into the
    same space.
    """

    image: int | None = None
    text: str = ""
    toward: int | None = None
    share: float = 0.5
    view: Literal["fused", "text_tower", "image_tower"] = "fused"


class ItemList:
    """Items of a step, equal ones once, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._places: dict[Item, int] = {}

    def add(self, item: Item) -> int:
        """The item's place among the embeddings of the step."""
        return self._places.setdefault(item, len(self._places))

    def places(self, items: Sequence[Item]) -> Tensor:
        """Places of items, int64 (n)."""
        return torch.tensor([self.add(item) for item in items], dtype=torch.int64)

    @property
    def items(self) -> list[Item]:
        """All of them, by place."""
        return list(self._places)


@dataclass(frozen=True)
class Row:
    """A triplet as training reads it. Images are numbers in the image store, -1 for none."""

    row_id: str
    query: int
    target: int
    #: Texts that lead from query to target, the best first; at least one, "" where they are hidden.
    texts: tuple[str, ...]
    #: Hard negatives without the query image, most similar first.
    negatives: tuple[int, ...] = ()
    #: A number for the page on which the pair stands; rows of one page are likely false negatives of each other.
    page: int = -1
    #: The images' own texts (captions, alternative texts), "" where there is none.
    query_text: str = ""
    target_text: str = ""

    def query_item(self, text: str) -> Item:
        """The query with one of its texts."""
        return Item(self.query if self.query >= 0 else None, text)


@dataclass(frozen=True)
class DrawnRow:
    """A row of a step, with a generator that depends on seed, step and the row's place in the whole batch alone: chance
    is the same in one process and in many, and after a resume."""

    row: Row
    draw: np.random.Generator


@dataclass(frozen=True)
class RowBatch:
    """The rows of a step: all of them, and which are this process's own."""

    rows: Sequence[DrawnRow]
    own: slice

    @property
    def mine(self) -> Sequence[DrawnRow]:
        """The rows of this process."""
        return self.rows[self.own]

    @property
    def queries(self) -> list[tuple[DrawnRow, str]]:
        """The rows of this process with each of their texts."""
        return [(one, text) for one in self.mine for text in one.row.texts]
