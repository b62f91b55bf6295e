"""Miners by their names in the configuration. A new one is a file, a section of `MineConfig` and a line here."""

from __future__ import annotations

from collections import defaultdict
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
#: View → k → the scores that stand in its lists of k neighbours: no miner's quantiles hang on another's k.
Scores = Mapping[str, Mapping[int, ScoreCounts]]


def page_miner(config: MineConfig) -> Miner | None:
    """The miner of single pages, None if it is not among the configuration's."""
    return CoOccurrence(config.co_occurrence) if CoOccurrence.name in config.miners else None


def neighbour_miners(config: MineConfig, scores: Scores) -> list[NeighbourMiner]:
    """The miners of neighbours in the order of the configuration, with windows as similarities of this corpus.

    Raises ConfigurationError for a window that keeps nothing."""
    return [_NEIGHBOUR_MINERS[name](config, scores) for name in config.miners if name in _NEIGHBOUR_MINERS]


def wanted_views(config: MineConfig) -> dict[str, tuple[int, ...]]:
    """View → lengths of the lists that the configuration's miners want, shortest first."""
    wanted: dict[str, set[int]] = defaultdict(set)
    if "groups_of_six" in config.miners:
        wanted["image"].add(config.groups_of_six.k)
    if "neighbours" in config.miners:
        for view in config.neighbours.windows:
            wanted[view].add(config.neighbours.k)
    if "mid_rank" in config.miners:
        wanted[config.mid_rank.view].add(config.mid_rank.last_rank)
    if "hubness" in config.scores:
        wanted["image"].add(HUB_NEIGHBOURS)
    return {view: tuple(sorted(lengths)) for view, lengths in sorted(wanted.items())}


def _groups_of_six(config: MineConfig, scores: Scores) -> NeighbourMiner:
    own = config.groups_of_six
    return GroupsOfSix(own, resolve_window(own.window, scores["image"][own.k], "mine_pairs.groups_of_six.window"))


def _neighbours(config: MineConfig, scores: Scores) -> NeighbourMiner:
    own = config.neighbours
    windows = {
        view: resolve_window(window, scores[view][own.k], f"mine_pairs.neighbours.{view}")
        for view, window in own.windows.items()
    }
    return NeighboursMiner(own, windows)


_NEIGHBOUR_MINERS: Mapping[str, Callable[[MineConfig, Scores], NeighbourMiner]] = {
    GroupsOfSix.name: _groups_of_six,
    NeighboursMiner.name: _neighbours,
    MidRank.name: lambda config, scores: MidRank(config.mid_rank),
}
