"""The mean of losses of which some do not count, over all processes."""

from __future__ import annotations

from torch import Tensor

from training.objectives.gathering import gathered
from training.processes import processes


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """This process's part of the weighted mean of losses (n) over the rows of all processes, times their number: the
    mean of it over the processes, as DistributedDataParallel takes it of gradients, is that mean. 0 without weights.

    Weights float (n) are 0 for rows that fill a process up to as many as the others have.
    """
    total = gathered(weights).sum().clamp(min=1e-12)
    return processes() * (weights * losses).sum() / total
