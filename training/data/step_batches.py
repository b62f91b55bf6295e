"""The dataset that a trainer iterates over: its number i is the whole batch of step i, ready for the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import BatchSampler, Dataset

from training.config import DataConfig
from training.data.batches import BatchPlan
from training.data.sources import Sources
from training.data.triplet_table import TripletTable, Window
from training.items import DrawnRow, ItemList, Row, RowBatch
from training.models.interface import Retriever
from training.objectives.interface import Objective


@dataclass(frozen=True)
class BatchMaker:
    """Rows to what `Learner` takes: items of all objectives, prepared by the model, in chunks."""

    retriever: Retriever
    objectives: Mapping[str, Objective]
    sources: Sources
    data: DataConfig
    chunk: int | None
    seed: int

    def __call__(self, rows: list[Row], step: int, rank: int, processes: int) -> dict[str, Any]:
        """The batch of a process: `chunks`, `plans`, `step` and `rows` (ids of its own rows)."""
        own = len(rows) // processes
        drawn = [self._drawn(row, step, place) for place, row in enumerate(rows)]
        batch = RowBatch(drawn, slice(rank * own, (rank + 1) * own))
        items = ItemList()
        plans = {name: one.plan(batch, items, self.sources) for name, one in self.objectives.items()}
        listed, size = items.items, self.chunk or max(1, len(items.items))
        chunks = [
            self.retriever.prepare(listed[start : start + size], self.sources, self._variation(step))
            for start in range(0, len(listed), size)
        ]
        return {"chunks": chunks, "plans": plans, "step": step, "rows": [one.row.row_id for one in batch.mine]}

    def _variation(self, step: int) -> np.random.Generator:
        """The same for all processes and chunks: a picture looks the same wherever it stands in the step's batch."""
        return np.random.Generator(np.random.PCG64([self.seed, 3, step]))

    def _drawn(self, row: Row, step: int, place: int) -> DrawnRow:
        draw = np.random.Generator(np.random.PCG64([self.seed, 2, step, place]))
        config, texts = self.data.texts, row.texts
        if config.choose == "sampled" and len(texts) > config.per_row:
            texts = tuple(texts[one] for one in draw.choice(len(texts), config.per_row, replace=False))
        # Every row gives as many queries: processes must not differ.
        texts = (texts * -(-config.per_row // len(texts)))[: config.per_row]
        if self.data.hide == "text":
            texts = ("",) * len(texts)
        return DrawnRow(replace(row, texts=texts, query=-1 if self.data.hide == "image" else row.query), draw)


class StepBatches(Dataset[dict[str, Any]]):
    """`self[step]`: the batch of a step, made anew from seed and step alone."""

    def __init__(self, table: TripletTable, plan: BatchPlan, make: BatchMaker, rank: int, processes: int) -> None:
        self._table, self._plan, self._make = table, plan, make
        self._rank, self._processes = rank, processes
        self._window: tuple[int, Window] | None = None
        self._cut: tuple[tuple[int, int], list[Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_window": None, "_cut": None}

    def rows(self, step: int) -> list[Row]:
        """The rows of a step, of all processes."""
        epoch, number, batch = self._plan.place(step)
        if self._window is None or self._window[0] != number:
            self._window = (number, self._table.window(number))
        window = self._window[1]
        if self._cut is None or self._cut[0] != (epoch, number):
            self._cut = ((epoch, number), self._plan.batches_of(epoch, number, window.pages))
        return self._table.make_rows(window, self._cut[1][batch].tolist())

    def __getitem__(self, step: int) -> dict[str, Any]:
        return self._make(self.rows(step), step, self._rank, self._processes)


class Steps(BatchSampler):
    """Steps 0 … count - 1, one at a time."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[list[int]]:
        return iter([step] for step in range(self._count))

    def __len__(self) -> int:
        return self._count


def only(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """The single batch of a step."""
    return batches[0]
