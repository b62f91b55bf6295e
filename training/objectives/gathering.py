"""Rows of all processes in each of them, with gradients."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from training.processes import processes, rank


def gathered(rows: Tensor) -> Tensor:
    """Rows (n, …) of all processes, (processes x n, …), in the order of their ranks; all have as many.

    Gradients go back to the process that a row came from. With each process's loss the mean over its own rows and
    gradients averaged over processes, as DistributedDataParallel does, they are those of the mean over all rows.
    """
    if processes() == 1:
        return rows
    if not rows.dtype.is_floating_point or not rows.requires_grad:
        parts = [torch.empty_like(rows) for _ in range(processes())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)
    found: Tensor = _Gathered.apply(rows)  # type: ignore[no-untyped-call]
    return found


class _Gathered(torch.autograd.Function):
    """Rows of all processes; the gradient of a row is the sum of what all processes have for it."""

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(processes())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(processes())[rank()]


def own_rows(count: int) -> Tensor:
    """Where this process's `count` rows stand among the gathered ones, int64 (count)."""
    return torch.arange(count) + rank() * count
