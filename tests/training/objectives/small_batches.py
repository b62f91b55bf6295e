"""Batches of a few rows, and losses of embeddings that a test lays down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from training.items import DrawnRow, Item, ItemList, Row, RowBatch
from training.objectives.interface import Objective, Step

Vector = Sequence[float]


def row(query: int, target: int, text: str = "it", **more: object) -> Row:
    """A triplet of images by number."""
    return Row(f"{query}-{target}", query, target, (text,), **more)


def batch_of(rows: Sequence[Row], own: slice | None = None) -> RowBatch:
    """Rows with generators by their place; all of them this process's own where it is not said."""
    drawn = [DrawnRow(one, np.random.default_rng([7, place])) for place, one in enumerate(rows)]
    return RowBatch(drawn, own or slice(0, len(rows)))


def loss_of(
    objective: Objective,
    batch: RowBatch,
    vector: Callable[[Item], Vector],
    sources: object = None,
    step: Step | None = None,
) -> torch.Tensor:
    """The loss of a batch whose items have these vectors."""
    items = ItemList()
    plan = objective.plan(batch, items, sources)
    return objective(torch.tensor([list(vector(one)) for one in items.items]), plan, step or Step())


def unit(degrees: float) -> tuple[float, float]:
    """A unit vector of the plane."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def cross_entropy(own: float, others: Sequence[float]) -> float:
    """-log of the share of exp(own) among all, without torch."""
    return math.log(sum(math.exp(one - own) for one in (own, *others)))
