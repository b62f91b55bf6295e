"""Models of a few drawn pictures, and what they embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from drawn_pictures import COLOURS, SHAPES, drawn

from training.config import TrainConfig
from training.data.image_store import GivenImages
from training.data.sources import Sources
from training.embedding import embed
from training.items import Item
from training.models.interface import Retriever
from training.models.make import make_retriever

#: Every shape in every colour.
NAMES = [f"{colour} {shape}" for shape in SHAPES for colour in COLOURS]


def sources() -> Sources:
    """The pictures themselves."""
    files = [drawn(shape, colour) for shape in SHAPES for colour in COLOURS]
    return Sources(GivenImages(files, NAMES))


def made(seed: int = 0, **settings: Any) -> Retriever:
    """A model of settings with weights of a seed, in evaluation mode."""
    torch.manual_seed(seed)
    return make_retriever(TrainConfig(model=settings).model).eval()


def vectors(model: Retriever, *items: Item, given: Sources | None = None, batch: int = 64) -> np.ndarray[Any, Any]:
    """Embeddings of items."""
    return embed(model, list(items), given or sources(), batch)


def gradients(model: Retriever, items: Sequence[Item], seed: int = 0) -> dict[str, torch.Tensor]:
    """Gradients of a sum that tells all numbers of all embeddings apart, in training mode, with chance of a seed."""
    model.train()
    torch.manual_seed(seed)
    found = model(model.prepare(items, sources()))
    weights = torch.linspace(-1, 1, found.numel()).view_as(found)
    model.zero_grad()
    (found * weights).sum().backward()
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
