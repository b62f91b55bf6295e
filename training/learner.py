"""A retriever with the objectives it is trained by: the module that is wrapped, checkpointed and optimised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.models.interface import Retriever
from training.objectives.interface import Objective, Step
from training.processes import processes


class Learner(nn.Module):
    """`forward` embeds a chunk of items, or makes the loss of a whole batch."""

    def __init__(self, retriever: Retriever, objectives: Mapping[str, Objective], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.retriever = retriever
        self.objectives = nn.ModuleDict(dict(objectives))
        self._weights = dict(weights)
        #: Each objective's last loss, detached.
        self.parts: dict[str, Tensor] = {}
        self._mode: bool | None = None

    def train(self, mode: bool = True) -> Learner:
        """As any module's; asked for the mode that it set last it does nothing: trainers ask before every step, and
        the walk over all layers takes as long as a few per cent of one."""
        if mode != self._mode:
            super().train(mode)
            self._mode = mode
        return self

    def forward(self, chunks: list[Any], plans: Mapping[str, Any] | None, step: Step | None) -> Tensor:
        """With plans the loss, a scalar; without them embeddings float32 (n, width) of the chunks' items."""
        embeddings = torch.cat([self.retriever(one).float() for one in chunks])
        found = embeddings if plans is None or step is None else self.loss(embeddings, plans, step)
        return found + self._idle() if processes() > 1 and torch.is_grad_enabled() else found

    def loss(self, embeddings: Tensor, plans: Mapping[str, Any], step: Step) -> Tensor:
        """The weighted sum of the objectives, in float32 also where the model computes in bfloat16: similarities over
        a temperature would lose their order."""
        total = torch.zeros((), device=embeddings.device)
        with torch.autocast(embeddings.device.type, enabled=False):
            for name, objective in self.objectives.items():
                part = objective(embeddings, plans[name], step)
                self.parts[name] = part.detach()
                total = total + self._weights[name] * part
        return total

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """What transformers' Trainer calls where activations are computed twice; its options are left as they are."""
        self.retriever.checkpoint_activations()

    def _idle(self) -> Tensor:
        """Zero, of every parameter: DistributedDataParallel wants each of them in every backward pass, and a batch
        without texts, or a chunk without the loss, leaves some out."""
        return 0.0 * sum((one.sum() for one in self.parameters() if one.requires_grad), torch.zeros(()))


def learner_state(learner: Learner) -> dict[str, Tensor]:
    """Everything of a learner but frozen towers, which come from their source."""
    state = {f"retriever.{name}": value for name, value in learner.retriever.kept_state().items()}
    return state | {f"objectives.{name}": value for name, value in learner.objectives.state_dict().items()}


def load_learner(learner: Learner, path: Path) -> None:
    """Restore a file of `learner_state`."""
    learner.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"), strict=False)
