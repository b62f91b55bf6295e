"""Index steps for near duplicates by features: parts of the crawl settle who survives, in rounds
(`mining.feature_duplicate_rounds`).

Only images that have another one near them are told of, one byte each to each part that lists them, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from beam_jobs.feature_parts import FeatureGroup, FeatureShard, plan_feature_groups
from beam_jobs.feature_search import Searched, plan_near_search
from beam_jobs.index_step import Answers, Message, answer_map
from beam_jobs.session import Session, asker
from beam_jobs.workspace import Workspace
from mining.feature_duplicate_rounds import FeatureStanding
from mining.mine_config import SearchConfig
from mining.near_lists import id_of
from schemas.ids import digest

VERSION = "1"
#: Images of another part that a list names at first, and how many times as many it names when it goes on.
_LISTED, _MORE = 64, 16


@dataclass(frozen=True)
class SearchPass:
    """A search in which one part took part, and the answers of the rounds after it."""

    searches: tuple[Searched, ...]
    rounds: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class PartTask:
    """A part with all that it was told so far."""

    number: int
    passes: tuple[SearchPass, ...] = ()

    def searched(self, searches: Sequence[Searched]) -> PartTask:
        """The part after another search."""
        own = tuple(one for one in searches if self.number in (one.part, one.near_part))
        return replace(self, passes=(*self.passes, SearchPass(own)))

    def told(self, answers: Mapping[str, Answers]) -> PartTask:
        """The part after another round."""
        found = answers.get(asker(self.number))
        last = self.passes[-1]
        last = replace(last, rounds=(*last.rounds, found.path if found else None))
        return replace(self, passes=(*self.passes[:-1], last))


@dataclass(frozen=True)
class FeatureRounds:
    """One round: each part tells the others of its images that were settled."""

    workspace: Workspace
    name: str = "feature_rounds"

    def messages(self, task: PartTask) -> Iterator[Message]:
        """What the part tells in this round, and to whom."""
        for rank, part, told in self.standing(task).messages():
            yield rank.hex(), asker(part), told

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The same to all: who tells of an image tells the same."""
        yield from ((one, values[0]) for one in askers)

    def standing(self, task: PartTask) -> FeatureStanding:
        """The part after the searches and rounds that are done."""
        known = FeatureStanding(task.number)
        for one in task.passes:
            known.learn(row for search in one.searches for row in search.rows(self.workspace))
            for path in one.rounds:
                told = answer_map(self.workspace, path)
                known.advance({bytes.fromhex(key): value for key, value in told.items()})
        return known


@dataclass(frozen=True)
class FeatureShort(FeatureRounds):
    """Images whose lists must go on, to the part that they are of, and from which rank (40 bytes) on."""

    name: str = "feature_short"

    def messages(self, task: PartTask) -> Iterator[Message]:
        """Short images of the part."""
        for rank, after in self.standing(task).short().items():
            yield id_of(rank), asker(task.number), after


@dataclass(frozen=True)
class FeatureSurvivors(FeatureRounds):
    """The verdict: each rejected image of a part to its survivor (32 bytes)."""

    name: str = "feature_survivors"

    def messages(self, task: PartTask) -> Iterator[Message]:
        """Rejected images with their survivors."""
        for image_id, survivor in self.standing(task).rejected().items():
            yield image_id, asker(task.number), bytes.fromhex(survivor)


def run_feature_duplicates(
    session: Session, shards: Sequence[FeatureShard], bound: float, config: SearchConfig, models: str
) -> list[tuple[FeatureGroup, Answers]]:
    """Near duplicates by features among the images of shards: for each part that has some image id → id of the survivor
    (32 bytes). It is the verdict of `mining.near_duplicates.feature_duplicates_of` where the search is exact; of an
    approximate one pairs that neither image finds are missing.

    `bound`: visual similarity from which two images are near; `models`: digest of what made the features."""
    groups = plan_feature_groups(shards, config.images_per_part)
    if not groups:
        return []
    search = plan_near_search(session, groups, bound, config, models)
    basis = digest("features", VERSION)
    tasks = [PartTask(group.number) for group in groups]
    after: Mapping[str, Answers] | None = None
    limit, searches = _LISTED, 0
    while after is None or after:
        done, found = search.run(session, limit, after, searches)
        basis = digest(basis, found)
        tasks = [task.searched(done) for task in tasks]
        tasks = _rounds(session, tasks, basis)
        after = session.index(FeatureShort(session.workspace), tasks, basis)
        limit, searches = limit * _MORE, searches + 1
    verdict = session.index(FeatureSurvivors(session.workspace), tasks, basis)
    return [(group, verdict[asker(group.number)]) for group in groups if asker(group.number) in verdict]


def _rounds(session: Session, tasks: list[PartTask], basis: str) -> list[PartTask]:
    """The parts after as many rounds as there is something to tell."""
    step = FeatureRounds(session.workspace)
    number = 0
    while answers := session.index(step, tasks, digest("round", str(number), basis)):
        tasks = [task.told(answers) for task in tasks]
        number += 1
    return tasks
