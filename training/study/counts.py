"""How many triplets a configuration trains on, and the share of pages that leaves a wanted number of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.open_dataset import OpenDataset
from training.data.triplet_table import TripletTable
from training.study.runs import StudyRun


@dataclass(frozen=True)
class Counted:
    """The data of a run: for each page that is kept its place among all pages (its hash, 0 to below 1), ascending, and
    its triplets."""

    shares: npt.NDArray[np.float64]
    triplets_of: npt.NDArray[np.int64]

    @property
    def pages(self) -> int:
        """Pages that are kept."""
        return len(self.shares)

    @property
    def triplets(self) -> int:
        """Triplets that are kept."""
        return int(self.triplets_of.sum())


def counted(opened: OpenDataset, run: StudyRun) -> Counted:
    """The data of a run, a window of it in memory."""
    table = TripletTable(opened.files, run.config.data, opened.images.numbers)
    parts = [table.window(number).pages for number in range(len(table))]
    pages, counts = np.unique(np.concatenate(parts) if parts else np.zeros(0, np.uint64), return_counts=True)
    return Counted(pages.astype(np.float64) / 2**64, counts.astype(np.int64))


def fraction_for(found: Counted, triplets: int) -> float:
    """The `data.fraction` that leaves as many triplets as possible up to a number, and one page at least; 1 where that
    is all. Pages are kept whole, so that a few triplets may lack."""
    kept = max(1, int(np.searchsorted(np.cumsum(found.triplets_of), triplets, "right")))
    return 1.0 if kept >= found.pages else float(found.shares[kept])


def cut(found: Counted, fraction: float) -> Counted:
    """What a fraction leaves."""
    kept = found.shares < fraction
    return Counted(found.shares[kept], found.triplets_of[kept])
