"""Miners by their names in the configuration. A new one is a file, a section of `MineConfig` and a line here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from mining.alignment import make_alignment
from mining.annotation import AnnotateConfig, load_text_encoder
from mining.mine_config import MineConfig
from mining.miners.co_occurrence import CoOccurrence
from mining.miners.entities import Entities
from mining.miners.groups_of_six import GroupsOfSix
from mining.miners.instances import Instances
from mining.miners.interface import MeetingMiner, Miner, NeighbourMiner
from mining.miners.mid_rank import MidRank
from mining.miners.neighbours import NeighboursMiner
from mining.miners.versions import Alternates, Versions
from mining.models.phrase_models import load_phrase_finder
from mining.windows import ScoreCounts, Window, resolve_window
from schemas.crawl_tables import SEARCHED

#: Neighbours of an image among which hubness is counted, whatever else its lists are for.
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


def meeting_miners(config: MineConfig) -> list[str]:
    """Names of the miners of meetings in the order of the configuration."""
    return [name for name in config.miners if name in _MEETING_MINERS]


def meeting_miner(
    name: str, config: MineConfig, models: AnnotateConfig | None = None, alternates: Alternates | None = None
) -> MeetingMiner:
    """A miner of meetings. Without `models` it finds pairs among what met, and names no keys."""
    return _MEETING_MINERS[name](config, models, alternates)


def final_window(name: str, config: MineConfig) -> Window | None:
    """The visual similarity that pairs of a miner must have once it is known exactly: at a meeting images show but a
    short sketch. None where the miner saw it exactly."""
    if name == Entities.name:
        return Window(config.entities.visual_min, config.entities.visual_max)
    if name == Versions.name:
        return Window(min(config.versions.visual_min, config.versions.loose_visual_min), 1.0)
    return None


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
    if Instances.name in config.miners:
        wanted["image"].add(config.instances.neighbours)
    if "hubness" in config.scores:
        wanted["image"].add(HUB_NEIGHBOURS)
    return {view: tuple(sorted(lengths)) for view, lengths in sorted(wanted.items())}


def searched_sketches(config: MineConfig, models: AnnotateConfig) -> tuple[str, ...]:
    """The columns of sketches, beside that of the features, which the miners' views compare."""
    views = wanted_views(config)
    made = {
        "pattern_sketch": "pattern" in views and models.pattern_model is not None,
        "caption_sketch": "caption" in views,
    }
    return tuple(name for name in SEARCHED if made[name])


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


def _entities(config: MineConfig, models: AnnotateConfig | None, alternates: Alternates | None) -> MeetingMiner:
    own = config.entities
    if models is None:
        return Entities(own)
    finder = load_phrase_finder(own, models.device, models.threads)
    return Entities(own, finder, make_alignment(own.alignment, load_text_encoder(models)))


_MEETING_MINERS: Mapping[str, Callable[[MineConfig, AnnotateConfig | None, Alternates | None], MeetingMiner]] = {
    Entities.name: _entities,
    Versions.name: lambda config, models, alternates: Versions(config.versions, alternates),
}
