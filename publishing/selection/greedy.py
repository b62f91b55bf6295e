"""The choice over all rows: what each adds by itself, how it spreads over the values of columns, and caps."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


def water_level(sizes: Int64Array, wanted: int) -> int:
    """The smallest level with `Σ min(size, level) ≥ wanted`; the largest size where there are fewer."""
    if not len(sizes):
        return 0
    low, high = 0, int(sizes.max())
    while low < high:
        middle = (low + high) // 2
        if int(np.minimum(sizes, middle).sum()) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


class Spread:
    """The values of one column among chosen rows: `C(S) = 1/V · Σ_v min(1, √(chosen_v / t_v))`, V values, `t_v` their
    even share of the choice, at most the rows that they have; and the most that each may have.

    C is monotone and submodular, 0 for nothing and 1 where every value has its share.
    """

    def __init__(
        self, starts: Int64Array, codes: Int64Array, size: int, *, weight: float = 0.0, cap: int | None = None
    ) -> None:
        """`codes[starts[i] : starts[i + 1]]` are the numbers of row i's values; `size` rows are to be chosen."""
        self._starts: list[int] = starts.tolist()
        self._codes: list[int] = codes.tolist()
        self._only = _only(starts, codes)
        sizes = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
        present = max(1, int((sizes > 0).sum()))
        level = max(1, water_level(sizes, size))
        self._targets: list[int] = np.maximum(np.minimum(sizes, level), 1).tolist()
        self._scale = weight / present
        self._cap = cap
        #: Whether it adds anything to a choice, and whether it forbids anything.
        self.weighs, self.caps = weight > 0, cap is not None
        self.counts = [0] * len(sizes)
        # The last one is what rows without a value add.
        self._gains = [*(self._gain(value) for value in range(len(sizes))), 0.0]

    def _gain(self, value: int) -> float:
        count, target = self.counts[value], self._targets[value]
        if count >= target:
            return 0.0
        return float(self._scale * (((count + 1) / target) ** 0.5 - (count / target) ** 0.5))

    def values(self, row: int) -> Sequence[int]:
        """Numbers of a row's values."""
        return self._codes[self._starts[row] : self._starts[row + 1]]

    def gain(self, row: int) -> float:
        """What a row would add now, with the column's weight."""
        if self._only is not None:
            return self._gains[self._only[row]]
        return sum(self._gains[value] for value in self.values(row))

    def full(self, row: int) -> bool:
        """Whether a value of the row has as many rows as it may."""
        return self._cap is not None and any(self.counts[value] >= self._cap for value in self.values(row))

    def take(self, row: int) -> None:
        """Count a row as chosen."""
        for value in self.values(row):
            self.counts[value] += 1
            self._gains[value] = self._gain(value)


def _only(starts: Int64Array, codes: Int64Array) -> list[int] | None:
    """The one value of each row, -1 where it has none; None where a row has several."""
    counts = np.diff(starts)
    if len(counts) and counts.max() > 1:
        return None
    found = np.full(len(counts), -1)
    found[counts == 1] = codes
    return list(found.tolist())


def take_in_order(rows: Iterable[int], limit: int, spreads: Sequence[Spread]) -> list[int]:
    """The first `limit` of the rows that no cap forbids; they are counted."""
    chosen: list[int] = []
    capped = [one for one in spreads if one.caps]
    for row in rows:
        if len(chosen) >= limit:
            break
        if not any(one.full(row) for one in capped):
            chosen.append(row)
            for one in spreads:
                one.take(row)
    return chosen


def lazy_greedy(
    rows: Int64Array, gains: Float64Array, limit: int, spreads: Sequence[Spread], tolerance: float = 0.0
) -> list[int]:
    """At most `limit` of the rows, greedily by `gain + Σ spread`, in the order in which they were taken; ties go to
    the smaller row number.

    The sum is monotone and submodular: without caps it comes to at least 1 - 1/e - tolerance of the best choice's, with
    caps on p columns to 1/(p + 1) less as much (Fisher, Nemhauser and Wolsey 1978). A row is taken when its gain, just
    computed, is at most `tolerance` below every other's last one: each row is then looked at a few times only.
    """
    capped, gain_of = [one for one in spreads if one.caps], [one.gain for one in spreads if one.weighs]
    heap = [
        (-(float(gain) + sum([one(row) for one in gain_of])), row, float(gain))
        for row, gain in zip(rows.tolist(), gains, strict=True)
    ]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < limit:
        _, row, gain = heapq.heappop(heap)
        if any(one.full(row) for one in capped):
            continue
        now = gain + sum([one(row) for one in gain_of])
        if heap and (-now, row) > (heap[0][0] * (1 - tolerance), heap[0][1]):
            heapq.heappush(heap, (-now, row, gain))
            continue
        chosen.append(row)
        for one in spreads:
            one.take(row)
    return chosen
