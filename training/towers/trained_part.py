"""How much of a tower is trained, and that the rest of it stands still."""

from __future__ import annotations

from torch import nn

from schemas.errors import ConfigurationError
from training.towers.interface import Tower


def set_trained(tower: Tower, which: str, layers: int) -> None:
    """Train all of a tower, its `last` layers, or `none`. Raises ConfigurationError for a tower whose layers are not
    known."""
    tower.requires_grad_(which == "all")
    if which == "last":
        try:
            last = list(tower.layers())[-layers:]
        except (NotImplementedError, AttributeError) as error:
            raise ConfigurationError(
                f"the layers of the tower {tower.name!r} are not known: set model.train_towers to all or none."
            ) from error
        for layer in last:
            layer.requires_grad_(True)


def still_where_frozen(module: nn.Module) -> None:
    """Put what has weights but trains none into evaluation mode: no dropout, no new statistics of batches."""
    weights = list(module.parameters())
    if weights and not any(one.requires_grad for one in weights):
        module.eval()
        return
    for child in module.children():
        still_where_frozen(child)
