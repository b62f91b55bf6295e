"""Miners, one file each; the configuration names one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mining.mine_config import MineConfig
from mining.miners.co_occurrence import CoOccurrence
from mining.miners.interface import Miner, Pair
from schemas.errors import ConfigurationError

#: Name in the configuration → how the miner is made from it. A new miner is a file and a line here.
MINERS: Mapping[str, Callable[[MineConfig], Miner]] = {
    CoOccurrence.name: lambda config: CoOccurrence(config.co_occurrence),
}


def make_miner(config: MineConfig) -> Miner:
    """The miner that the configuration names. Raises ConfigurationError on an unknown name."""
    if config.miner not in MINERS:
        raise ConfigurationError(f"there is no miner {config.miner!r}; mine_pairs.miner is one of {', '.join(MINERS)}")
    return MINERS[config.miner](config)


__all__ = ["MINERS", "Miner", "Pair", "make_miner"]
