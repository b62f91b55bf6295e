"""A small query model in the space of a large frozen gallery tower (ISA, Du et al., ICLR 2024, arXiv 2403.01431).

The gallery is embedded by a large frozen tower g; a small model f embeds queries, and is drawn into g's space. Global
contrastive distillation, ISA's loss of images alone, contrasts the small model's embedding of image i against the
gallery vectors of the batch, at a temperature τ:
L_GCD = mean_i -log exp(f(x_i)·g(x_i) / τ) / Σ_j exp(f(x_i)·g(x_j) / τ).
With `teacher_temperature` σ the place of the single right image is taken by the teacher's own similarities:
L_GCD = mean_i -Σ_j p_ij log softmax_j(f(x_i)·g(x_j) / τ), p_i = softmax_j(g(x_i)·g(x_j) / σ).
Queries (x_i, t_i) are trained by triplets, against the gallery vectors of targets y and, as negatives, of query images:
L_query = mean_i -log exp(f(x_i, t_i)·g(y_i) / τ) / Σ_j [exp(f(x_i, t_i)·g(y_j) / τ) + exp(f(x_i, t_i)·g(x_j) / τ)].
In all L = L_query + images · L_GCD. All vectors are of unit length.

Departures. ISA has no triplets: its token learner turns an image into words of the large model's text tower, which
reads them with the instruction, and its local alignment regularisation ties these words to the large tower's patches.
Models here have a text side of their own and triplets to learn it from: there are no words to be tied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.data.sources import Sources
from training.items import Item, ItemList, RowBatch
from training.objectives.config import DistillationConfig
from training.objectives.gathering import gathered, own_rows
from training.objectives.info_nce import NOBODY, Temperature, masked_cross_entropy
from training.objectives.interface import Objective, Step
from training.objectives.weighted_mean import weighted_mean


class Distillation(Objective):
    """Queries, and images alone, against the teacher's vectors of the batch."""

    def __init__(self, config: DistillationConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = (config.teacher,)
        self.scale = Temperature(config.temperature, config.learn_temperature)

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`. Vectors of the teacher are read here, of the query images too where there are any."""
        teacher = sources.others[self.config.teacher]
        pairs = [(one.row, text) for one, text in batch.queries]
        queries = [row.query_item(text) for row, text in pairs]
        targets = [row.target for row, _ in pairs]
        plan: dict[str, Any] = {
            "queries": items.places(queries),
            "target_ids": torch.tensor(targets),
            "targets": _unit(teacher.pooled(targets)),
        }
        if self.config.query_negative:
            # A query of which one half is hidden has no other self that could be its negative.
            whole = [one.image is not None and bool(one.text) for one in queries]
            shown = [row.query if both else row.target for (row, _), both in zip(pairs, whole, strict=True)]
            ids = [image if both else NOBODY for image, both in zip(shown, whole, strict=True)]
            plan |= {"image_ids": torch.tensor(ids), "images": _unit(teacher.pooled(shown))}
        if self.config.images:
            # Each row shows two images; where the query's is hidden, its target stands in without weight.
            own = [image for one in batch.mine for image in (one.row.target, one.row.query)]
            alone = [image if image >= 0 else own[0] for image in own]
            plan |= {
                "alone": items.places([Item(image) for image in alone]),
                "alone_ids": torch.tensor(alone),
                "alone_vectors": _unit(teacher.pooled(alone)),
                "alone_weights": torch.tensor([float(image >= 0) for image in own]),
            }
        return plan

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`."""
        scale, ids, queries = self.scale(), plan["target_ids"], embeddings[plan["queries"]]
        candidates, all_ids = [gathered(plan["targets"])], [gathered(ids)]
        if "images" in plan:
            candidates.append(gathered(plan["images"]))
            all_ids.append(gathered(plan["image_ids"]))
        own = own_rows(len(ids)).to(ids.device)
        logits = scale * queries @ torch.cat(candidates).T
        loss = masked_cross_entropy(logits, own, ids, torch.cat(all_ids))
        if "alone" in plan:
            alone = embeddings[plan["alone"]]
            losses = image_losses(alone, plan["alone_vectors"], plan["alone_ids"], scale, self.config)
            loss = loss + self.config.images * weighted_mean(losses, plan["alone_weights"])
        return loss


def image_losses(images: Tensor, vectors: Tensor, ids: Tensor, scale: Tensor, config: DistillationConfig) -> Tensor:
    """L_GCD of each of this process's images (n), of the model's embeddings and the teacher's vectors, unit vectors
    (n, d); those of other processes are gathered. An image that stands there several times counts once."""
    every, all_ids = gathered(vectors), gathered(ids)
    kept = ~_repeated(all_ids)
    every, all_ids = every[kept], all_ids[kept]
    logits = scale * images @ every.T
    if config.teacher_temperature is None:
        right = (ids[:, None] == all_ids).int().argmax(dim=1)
        return nn.functional.cross_entropy(logits, right, reduction="none")
    similar = torch.softmax(vectors @ every.T / config.teacher_temperature, dim=1)
    return nn.functional.cross_entropy(logits, similar, reduction="none")


def _repeated(ids: Tensor) -> Tensor:
    """Which of ids int64 (n) have come before, bool (n)."""
    return (ids[:, None] == ids).tril(-1).any(dim=1)


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=-1)
