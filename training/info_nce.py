"""InfoNCE over a batch with the query image as a negative of its own (MagicLens, arXiv 2403.19651, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(queries: Tensor, targets: Tensor, query_images: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Mean cross entropy of each query against all targets of the batch and all query images as negatives.

    All (n, d) of unit length. `same` (n, 2n) bool marks candidates that are the row's own target under another
    number, or look the same: they are no negatives. `scale` is the inverse temperature.
    """
    candidates = torch.cat([targets, query_images])
    logits = scale * queries @ candidates.T
    own = torch.arange(len(queries), device=queries.device)
    mask = same.clone()
    mask[own, own] = False
    return torch.nn.functional.cross_entropy(logits.masked_fill(mask, float("-inf")), own)


def same_candidates(target_ids: list[str], query_ids: list[str]) -> Tensor:
    """`same` of `info_nce` from ids: for each row the candidates that show its target."""
    candidates = [*target_ids, *query_ids]
    return torch.tensor([[candidate == target for candidate in candidates] for target in target_ids])
