"""The interface of objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from training.data.sources import Sources
from training.items import ItemList, RowBatch


@dataclass(frozen=True)
class Step:
    """What an objective may know of the step it is asked for."""

    #: Optimizer steps done before, and all of the stage.
    number: int = 0
    steps: int = 1
    #: Chance of this step and process alone, for noise on embeddings.
    noise: torch.Generator | None = field(default=None, compare=False)


class Objective(nn.Module):
    """A loss over the embeddings of a step.

    `plan` runs in the loader's workers: it puts what it needs embedded on the list and returns index tensors (and
    whatever else it needs, as tensors), which `forward` gets back. Images are compared by their numbers. What depends
    on chance draws it from the rows' generators.
    """

    #: Other models' features that it reads from `Sources.others`, by name.
    needs: Sequence[str] = ()

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """Put items on the list; what `forward` needs to find them again."""
        raise NotImplementedError

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """The loss (a scalar, mean over the rows of this process) of embeddings float32 (n, width) of unit length."""
        raise NotImplementedError
