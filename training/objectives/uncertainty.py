"""Multi-grained uncertainty (Chen et al., ICLR 2024, arXiv 2211.07394): coarse matching of noisy targets at first,
fine matching of the targets themselves later.

Uncertainty modelling: a target's features f_t with mean μ_t and standard deviation σ_t over their dimensions become
f̂_t = α · (f_t - μ_t) / σ_t + β with α ~ N(1, σ_t) and β ~ N(μ_t, σ_t) for each dimension; no gradient goes through
α and β. Uncertainty regularisation, as the authors' code has it, with σ the standard deviation of all numbers of the
batch's f̂: L_u = ½ [exp(-σ) · L_info(f_s, f̂_t) + σ], L_info the InfoNCE of the composed queries f_s over the batch at
temperature τ. In all: L = γ · L_u + (1 - γ) · L_info(f_s, f_t) with γ = exp(-γ_0 · share of the training that is done).

Departures: similarities are cosines, of f̂ too; γ falls with steps, not epochs; rows with one target are no negatives of
each other. The authors' features have length 4 (`length`), which sets σ_t and so how strong the noise is.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from training.data.sources import Sources
from training.items import Item, ItemList, RowBatch
from training.objectives.config import UncertaintyConfig
from training.objectives.gathering import gathered, own_rows
from training.objectives.info_nce import Temperature, masked_cross_entropy
from training.objectives.interface import Objective, Step


class Uncertainty(Objective):
    """Queries against noisy targets, weighted by the noise, and against the targets as they are."""

    def __init__(self, config: UncertaintyConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = Temperature(config.temperature, config.learn_temperature)

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`. Every query has a seed of its own for the noise, drawn from its row's generator: the noise
        is the same in one process and in many."""
        drawn = batch.queries
        return {
            "queries": items.places([one.row.query_item(text) for one, text in drawn]),
            "targets": items.places([Item(one.row.target) for one, _ in drawn]),
            "target_ids": torch.tensor([one.row.target for one, _ in drawn]),
            "seeds": torch.tensor([int(one.draw.integers(2**62)) for one, _ in drawn]),
        }

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`."""
        queries, targets, own_ids = embeddings[plan["queries"]], embeddings[plan["targets"]], plan["target_ids"]
        own, ids = own_rows(len(own_ids)).to(own_ids.device), gathered(own_ids)
        normal = draw_normal(plan["seeds"], targets.shape[1]).to(targets.device)
        noisy = gathered(with_noise(self.config.length * targets, self.config.noise * normal))
        scaled = self.scale() * queries
        coarse = masked_cross_entropy(scaled @ nn.functional.normalize(noisy, dim=-1).T, own, own_ids, ids)
        fine = masked_cross_entropy(scaled @ gathered(targets).T, own, own_ids, ids)
        share = coarse_share(self.config.decay, step)
        return share * regularised(coarse, noisy.std()) + (1 - share) * fine


def with_noise(features: Tensor, normal: Tensor) -> Tensor:
    """f̂ of features float (n, d), from standard normal numbers float (n, 2, d): those of α, and those of β."""
    deviation, mean = torch.std_mean(features, dim=1, keepdim=True)
    alpha = 1 + deviation.detach() * normal[:, 0]
    beta = mean.detach() + deviation.detach() * normal[:, 1]
    # The whitening is over the population, as an instance normalisation's, with its small number against division by 0.
    whitened = nn.functional.layer_norm(features, features.shape[1:])
    return alpha * whitened + beta


def regularised(loss: Tensor, deviation: Tensor) -> Tensor:
    """L_u of a loss under noise, and the noisy features' standard deviation."""
    return (torch.exp(-deviation) * loss + deviation) / 2


def coarse_share(decay: float, step: Step) -> float:
    """γ at a step."""
    return math.exp(-decay * step.number / step.steps)


def draw_normal(seeds: Tensor, width: int) -> Tensor:
    """Standard normal numbers float32 (n, 2, width) on the processor, of each row's own seed."""
    chance = torch.Generator()
    return torch.stack([torch.randn(2, width, generator=chance.manual_seed(one)) for one in seeds.tolist()])
