"""A frozen memory bank of static negatives, a second stage of training (SPN4CIR, arXiv 2404.11317, scaling negatives).

When the stage begins, the model as it stands embeds the images of the training split once. Query i with its target t_i
is then contrasted against the whole bank of embeddings v_j, all of unit length, at temperature τ:
loss_i = -log( exp(q_i·v_{t_i} / τ) / Σ_{j in bank} exp(q_i·v_j / τ) ).
In the paper whatever embeds targets is frozen in this stage, so that the bank stays true, and the row's own column is
the bank's. Here the own column is the target embedded in this step, which is the same where targets are frozen, also
serves a bank that is capped, and lets targets be trained (`moving_targets`), which departs from the paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemas.errors import ConfigurationError
from training.data.feature_store import FeatureStore
from training.data.sources import Sources
from training.embedding import moved
from training.items import Item, ItemList, RowBatch
from training.models.interface import Retriever
from training.objectives.config import MemoryBankConfig
from training.objectives.info_nce import NOBODY, Temperature, masked_cross_entropy
from training.objectives.interface import Objective, StageStart, Step
from training.objectives.static_embeddings import static_embeddings


class MemoryBank(Objective):
    """Each query against its target and the embeddings that the stage's first model gave the split's images."""

    def __init__(self, config: MemoryBankConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = Temperature(config.temperature, config.learn_temperature)
        self._numbers = np.zeros(0, np.int64)
        self._store: FeatureStore | None = None
        # Neither is a buffer: DistributedDataParallel would send buffers to all processes in every step.
        self._bank: tuple[Tensor, Tensor] | None = None

    def begin(self, start: StageStart) -> None:
        """Make the bank. Raises ConfigurationError where the stage trains what makes targets, unless that is asked
        for."""
        self._numbers, self._bank = bank_images(len(start.sources.images), self.config.images, start.seed), None
        shown = [int(one) for one in self._numbers[:2]]
        if not self.config.moving_targets and (moving := moving_parameters(start.retriever, start.sources, shown)):
            raise ConfigurationError(
                f"objectives.memory_bank contrasts with targets that stand still, and its stage trains {moving[0]!r}, "
                "which moves them: give it a stage of its own whose `train` names the text side alone (such as "
                "[text_map, text_tower]), or set objectives.memory_bank.moving_targets to true."
            )
        self._store = static_embeddings(start, self._numbers)

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`."""
        return {
            "queries": items.places([one.row.query_item(text) for one, text in batch.queries]),
            "targets": items.places([Item(one.row.target) for one, _ in batch.queries]),
            "target_ids": torch.tensor([one.row.target for one, _ in batch.queries]),
        }

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`."""
        bank, ids = self._loaded(embeddings.device)
        queries, targets = embeddings[plan["queries"]], embeddings[plan["targets"]]
        return bank_loss(queries, targets, plan["target_ids"], bank, ids, self.scale())

    def _loaded(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The bank's embeddings (m, width) and the numbers of its images (m)."""
        if self._bank is None:
            if self._store is None:
                raise RuntimeError("a memory bank is made by `begin`")
            vectors = self._store.pooled(range(len(self._store)))
            self._bank = vectors.to(device), torch.from_numpy(self._numbers).to(device)
        return self._bank


def bank_loss(queries: Tensor, targets: Tensor, target_ids: Tensor, bank: Tensor, ids: Tensor, scale: Tensor) -> Tensor:
    """Mean cross entropy of queries (n, width) with their targets (n, width) as positives and the bank (m, width) as
    negatives but for the column of the row's own target; ids int64 are (n) and (m), scale the inverse temperature."""
    own = torch.zeros_like(target_ids)
    logits = torch.cat([(queries * targets).sum(-1, keepdim=True), queries @ bank.T], dim=1)
    return masked_cross_entropy(scale * logits, own, target_ids, torch.cat([ids.new_tensor([NOBODY]), ids]))


def bank_images(count: int, most: int | None, seed: int) -> npt.NDArray[np.int64]:
    """Numbers of the bank's images, ascending: all `count` of the split, or `most` of them by chance of the seed."""
    if most is None or most >= count:
        return np.arange(count, dtype=np.int64)
    draw = np.random.Generator(np.random.PCG64([seed, 4]))
    return np.sort(draw.choice(count, most, replace=False, shuffle=False)).astype(np.int64)


def moving_parameters(retriever: Retriever, sources: Sources, numbers: list[int]) -> list[str]:
    """Names of trained parameters on which the embeddings of these images as targets depend."""
    trained = {name: one for name, one in retriever.named_parameters() if one.requires_grad}
    was_training = retriever.training
    retriever.eval()
    with torch.enable_grad():
        device = next((one.device for one in retriever.parameters()), torch.device("cpu"))
        vectors = retriever(moved(retriever.prepare([Item(one) for one in numbers], sources), device))
    retriever.train(was_training)
    if not trained or not vectors.requires_grad:
        return []
    # The sum alone of a unit vector could stand still where the vector moves.
    direction = torch.linspace(-1, 2, vectors.shape[1], device=vectors.device)
    gradients = torch.autograd.grad((vectors * direction).sum(), list(trained.values()), allow_unused=True)
    return [name for name, one in zip(trained, gradients, strict=True) if one is not None and bool(one.any())]
