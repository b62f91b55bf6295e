"""Which rows a step trains on: a function of seed and step alone, so that a resumed run meets the same batches.

Batches of *distinct* pages never hold two rows of one page: the others of a page are likely false negatives. A window
of rows is cut into as many batches as its pages allow; rows of a page that has more of them than there are batches
take turns over the epochs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigurationError

Int64Array = npt.NDArray[np.int64]
Pages = Literal["distinct", "same", "any"]


def batch_size(counts: Int64Array, batch: int, pages: Pages, processes: int) -> int:
    """Rows of a batch in a window whose pages have `counts` rows: `batch`, or as many as there are pages (or rows),
    divisible by the processes."""
    most = len(counts) if pages == "distinct" else int(counts.sum())
    return min(batch, most) // processes * processes


def batch_count(counts: Int64Array, size: int, pages: Pages) -> int:
    """How many full batches of `size` a window gives in an epoch."""
    if pages != "distinct":
        return int(counts.sum()) // size
    # K batches of distinct pages can be filled if the pages give at most K rows each, size x K in all.
    low, high = 1, int(counts.sum()) // size
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(counts, middle).sum()) >= middle * size:
            low = middle
        else:
            high = middle - 1
    return low


def cut(
    pages: npt.NDArray[np.uint64], size: int, count: int, how: Pages, draw: np.random.Generator
) -> list[Int64Array]:
    """Rows of each of `count` batches of `size`: places in the window, shuffled."""
    order = draw.permutation(len(pages))
    if how == "any":
        return [order[start : start + size] for start in range(0, count * size, size)]
    # Pages in an order of chance, the rows of one beside each other.
    _, numbers = np.unique(pages, return_inverse=True)
    turn = draw.permutation(int(numbers.max(initial=-1)) + 1)
    order = order[np.argsort(turn[numbers[order]], kind="stable")]
    if how == "same":
        return [order[start : start + size] for start in range(0, count * size, size)]
    place = np.arange(len(order)) - np.searchsorted(turn[numbers[order]], turn[numbers[order]])
    dealt = order[place < count]
    # Dealt like cards: neighbours, and so the rows of a page, come into different batches.
    return [draw.permutation(dealt[number::count])[:size] for number in range(count)]


class BatchPlan:
    """Batches over epochs: which window, and which of its batches, a step takes."""

    def __init__(self, counts: Iterable[Int64Array], batch: int, pages: Pages, processes: int, seed: int) -> None:
        """`counts`: for each window the rows of each page, of which a few numbers are kept. Raises ConfigurationError
        if no batch can be made."""
        self.sizes: list[int] = []
        self._counts: list[int] = []
        self.rows = 0
        for one in counts:
            size = batch_size(one, batch, pages, processes)
            self.sizes.append(size)
            self._counts.append(batch_count(one, size, pages) if size else 0)
            self.rows += int(one.sum())
        self._seed, self._pages = seed, pages
        self.batches = sum(self._counts)
        if not self.batches:
            raise ConfigurationError(
                f"the settings leave {self.rows or 'no'} training triplets, too few for a batch: give the run more "
                "input, or filter less (data.where, data.fraction, data.texts.only)."
            )

    def place(self, step: int) -> tuple[int, int, int]:
        """Epoch, window and batch of a step (counted from 0)."""
        epoch, within = divmod(step, self.batches)
        order = np.random.Generator(np.random.PCG64([self._seed, 0, epoch])).permutation(len(self._counts))
        ends = np.cumsum(np.array(self._counts, np.int64)[order])
        turn = int(np.searchsorted(ends, within, "right"))
        return epoch, int(order[turn]), within - (int(ends[turn - 1]) if turn else 0)

    def batches_of(self, epoch: int, window: int, pages: npt.NDArray[np.uint64]) -> list[Int64Array]:
        """All batches of a window in an epoch."""
        draw = np.random.Generator(np.random.PCG64([self._seed, 1, epoch, window]))
        return cut(pages, self.sizes[window], self._counts[window], self._pages, draw)
