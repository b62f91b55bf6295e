"""InfoNCE over the global batch with the query image as a negative of its own (MagicLens, arXiv 2403.19651, eq. 1).

For a query embedding r_i, target t_i, and the query images alone t'_j, all of unit length, at temperature τ:
loss_i = -log( exp(r_i·t_i / τ) / Σ_j [exp(r_i·t_j / τ) + exp(r_i·t'_j / τ)] ), with mined hard negatives in the sum.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from schemas.errors import ConfigurationError
from training.data.sources import Sources
from training.items import Item, ItemList, RowBatch
from training.objectives.config import InfoNceConfig
from training.objectives.gathering import gathered, own_rows
from training.objectives.interface import Objective, Step

#: The inverse temperature is learned up to this (CLIP's bound).
MAX_SCALE = 100.0


class Temperature(nn.Module):
    """An inverse temperature, learned in its logarithm or fixed."""

    def __init__(self, temperature: float, learned: bool) -> None:
        super().__init__()
        start = torch.tensor(-math.log(temperature))
        if learned:
            self.logarithm = nn.Parameter(start)
        else:
            self.register_buffer("logarithm", start)
        self._learned = learned

    def forward(self) -> Tensor:
        """The inverse temperature."""
        bounded = self.logarithm.clamp(max=math.log(MAX_SCALE)) if self._learned else self.logarithm
        return bounded.exp()


class InfoNce(Objective):
    """Each query against the targets, query images and hard negatives of all processes."""

    def __init__(self, config: InfoNceConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = Temperature(config.temperature, config.learn_temperature)

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`."""
        rows = [one.row for one, _ in batch.queries]
        queries = [row.query_item(text) for row, (_, text) in zip(rows, batch.queries, strict=True)]
        targets = [row.target for row in rows]
        plan: dict[str, Any] = {
            "queries": items.places(queries),
            "targets": items.places([Item(one) for one in targets]),
            "target_ids": torch.tensor(targets),
        }
        # A query of which one half is hidden has no other self that could be its negative.
        if self.config.query_negative and all(one.image is not None and one.text for one in queries):
            plan["images"] = items.places([Item(row.query) for row in rows])
            plan["image_ids"] = torch.tensor([row.query for row in rows])
        if self.config.hard_negatives:
            # A row with fewer has its target in their place, which the mask takes out.
            flat = [one for row in rows for one in self._negatives(row.negatives, row.target)]
            plan["negatives"] = items.places([Item(one) for one in flat])
            plan["negative_ids"] = torch.tensor(flat)
        return plan

    def _negatives(self, found: tuple[int, ...], target: int) -> list[int]:
        kept = list(found[: self.config.hard_negatives])
        return kept + [target] * (self.config.hard_negatives - len(kept))

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`."""
        queries, targets = embeddings[plan["queries"]], embeddings[plan["targets"]]
        own_ids = plan["target_ids"]
        own = own_rows(len(own_ids)).to(own_ids.device)
        all_targets, all_ids = gathered(targets), gathered(own_ids)
        candidates, ids = [all_targets], [all_ids]
        if "images" in plan:
            candidates.append(gathered(embeddings[plan["images"]]))
            ids.append(gathered(plan["image_ids"]))
        if "negatives" in plan:
            shown = embeddings[plan["negatives"]]
            candidates.append(gathered(shown))
            guarded = self._guarded(shown.detach(), plan["negative_ids"], targets.detach())
            ids.append(gathered(guarded))
        scale = self.scale()
        loss = masked_cross_entropy(scale * queries @ torch.cat(candidates).T, own, own_ids, torch.cat(ids))
        if self.config.symmetric:
            back = scale * targets @ gathered(queries).T
            loss = (loss + masked_cross_entropy(back, own, own_ids, all_ids)) / 2
        return loss

    def _guarded(self, shown: Tensor, ids: Tensor, targets: Tensor) -> Tensor:
        """Ids of hard negatives, -2 for those too similar to their own row's target: they are nobody's negatives
        (U-MARVEL's guard against false ones)."""
        if self.config.guard is None:
            return ids
        positives = targets.repeat_interleave(self.config.hard_negatives, dim=0)
        return torch.where((shown * positives).sum(-1) > self.config.guard, NOBODY, ids)


#: The id of a candidate that is left out for every row.
NOBODY = -2


def masked_cross_entropy(logits: Tensor, own: Tensor, own_ids: Tensor, ids: Tensor) -> Tensor:
    """The mean of `masked_losses`."""
    return masked_losses(logits, own, own_ids, ids).mean()


def masked_losses(logits: Tensor, own: Tensor, own_ids: Tensor, ids: Tensor) -> Tensor:
    """Cross entropy (n) of logits (n, m) with the positive of row i at column own_i. Other columns that show the
    row's own target (ids_j = own_ids_i) or are `NOBODY` are no negatives."""
    same = (own_ids[:, None] == ids[None, :]) | (ids == NOBODY)[None, :]
    same[torch.arange(len(own), device=own.device), own] = False
    return nn.functional.cross_entropy(logits.masked_fill(same, float("-inf")), own, reduction="none")


def check_hard_negatives(config: InfoNceConfig | None, has_any: bool) -> None:
    """Raise ConfigurationError where hard negatives are asked for and no row has any."""
    if config is not None and config.hard_negatives and not has_any:
        raise ConfigurationError(
            "objectives.info_nce.hard_negatives is set, and no row of the dataset has hard negatives besides the query "
            "image: set it to 0, or mine with hard negatives."
        )
