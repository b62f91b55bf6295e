"""The interface of objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from training.data.sources import Sources
from training.items import ItemList, Row, RowBatch
from training.models.interface import Retriever


@dataclass(frozen=True)
class StageStart:
    """What an objective may know when a stage begins, before its first step; after a resume it is the same again."""

    #: The model with the weights that the stage begins with, not those of a checkpoint within it.
    retriever: Retriever
    sources: Sources
    #: All rows of the stage, in order; read from the dataset anew with every call.
    rows: Callable[[], Iterator[Row]]
    #: A folder of this objective in this stage, made when it is needed. A resumed stage finds in it what was there.
    folder: Path
    seed: int = 0
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class Step:
    """What an objective may know of the step it is asked for."""

    #: Optimizer steps done before, and all of the stage.
    number: int = 0
    steps: int = 1


class Objective(nn.Module):
    """A loss over the embeddings of a step.

    `plan` runs in the loader's workers: it puts what it needs embedded on the list and returns index tensors (and
    whatever else it needs, as tensors), which `forward` gets back. Images are compared by their numbers. What depends
    on chance draws it from the rows' generators.
    """

    #: Other models' features that it reads from `Sources.others`, by name.
    needs: Sequence[str] = ()

    def begin(self, start: StageStart) -> None:
        """Called in every process before a stage trains; the others wait until the first has done it, and find what it
        made. Raises ConfigurationError for data or a stage that the objective cannot work with."""

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """Put items on the list; what `forward` needs to find them again."""
        raise NotImplementedError

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """The loss (a scalar, mean over the rows of this process) of embeddings float32 (n, width) of unit length."""
        raise NotImplementedError
