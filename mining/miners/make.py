"""Miners by their names in the configuration. A new one is a file, a section of `MineConfig` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mining.mine_config import MineConfig
from mining.miners.co_occurrence import CoOccurrence
from mining.miners.groups_of_six import GroupsOfSix
from mining.miners.interface import Miner, NeighbourMiner
from mining.miners.mid_rank import MidRank
from mining.miners.neighbours import NeighboursMiner
from mining.windows import ScoreCounts, resolve_window

#: Lists in which hubness is counted are at least so long.
HUB_NEIGHBOURS = 10
#: View → the scores that stand in its lists of neighbours.
Scores = Mapping[str, ScoreCounts]


def page_miner(config: MineConfig) -> Miner | None:
    """The miner of single pages, None if it is not among the configuration's."""
    return CoOccurrence(config.co_occurrence) if CoOccurrence.name in config.miners else None


def neighbour_miners(config: MineConfig, scores: Scores) -> list[NeighbourMiner]:
    """The miners of neighbours in the order of the configuration, with windows as similarities of this corpus.

    Raises ConfigurationError for a window that keeps nothing."""
    return [_NEIGHBOUR_MINERS[name](config, scores) for name in config.miners if name in _NEIGHBOUR_MINERS]


def wanted_views(config: MineConfig) -> dict[str, int]:
    """View → length of the lists that the configuration's miners want."""
    wanted: dict[str, int] = {}
    if "groups_of_six" in config.miners:
        wanted["image"] = config.groups_of_six.k
    if "neighbours" in config.miners:
        for view in config.neighbours.windows:
            wanted[view] = max(wanted.get(view, 0), config.neighbours.k)
    if "mid_rank" in config.miners:
        wanted[config.mid_rank.view] = max(wanted.get(config.mid_rank.view, 0), config.mid_rank.last_rank)
    if "hubness" in config.scores:
        wanted["image"] = max(wanted.get("image", 0), HUB_NEIGHBOURS)
    return dict(sorted(wanted.items()))


def _groups_of_six(config: MineConfig, scores: Scores) -> NeighbourMiner:
    own = config.groups_of_six
    return GroupsOfSix(own, resolve_window(own.window, scores["image"], "mine_pairs.groups_of_six.window"))


def _neighbours(config: MineConfig, scores: Scores) -> NeighbourMiner:
    own = config.neighbours
    windows = {
        view: resolve_window(window, scores[view], f"mine_pairs.neighbours.{view}")
        for view, window in own.windows.items()
    }
    return NeighboursMiner(own, windows)


_NEIGHBOUR_MINERS: Mapping[str, Callable[[MineConfig, Scores], NeighbourMiner]] = {
    GroupsOfSix.name: _groups_of_six,
    NeighboursMiner.name: _neighbours,
    MidRank.name: lambda config, scores: MidRank(config.mid_rank),
}
