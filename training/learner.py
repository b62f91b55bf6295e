"""A retriever with the objectives it is trained by: the module that is wrapped, checkpointed and optimised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from training.models.interface import Retriever
from training.objectives.interface import Objective, Step


class Learner(nn.Module):
    """`forward` embeds a chunk of items, or makes the loss of a whole batch."""

    def __init__(self, retriever: Retriever, objectives: Mapping[str, Objective], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.retriever = retriever
        self.objectives = nn.ModuleDict(dict(objectives))
        self._weights = dict(weights)
        #: Each objective's last loss, detached.
        self.parts: dict[str, Tensor] = {}

    def forward(self, chunks: list[Any], plans: Mapping[str, Any] | None, step: Step | None) -> Tensor:
        """With plans the loss, a scalar; without them embeddings float32 (n, width) of the chunks' items."""
        embeddings = torch.cat([self.retriever(one) for one in chunks]).float()
        if plans is None or step is None:
            # Every parameter takes part in every backward pass, as DistributedDataParallel wants it.
            idle = [one for one in self.objectives.parameters() if one.requires_grad]
            return embeddings + 0.0 * sum((one.sum() for one in idle), torch.zeros((), device=embeddings.device))
        return self.loss(embeddings, plans, step)

    def loss(self, embeddings: Tensor, plans: Mapping[str, Any], step: Step) -> Tensor:
        """The weighted sum of the objectives."""
        total = torch.zeros((), device=embeddings.device)
        for name, objective in self.objectives.items():
            part = objective(embeddings, plans[name], step)
            self.parts[name] = part.detach()
            total = total + self._weights[name] * part
        return total
