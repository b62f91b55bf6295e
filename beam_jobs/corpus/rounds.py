"""Rounds of `hard_rounds`: each a model's answers to the train split as it then was, stored for good.

The dataset that a round makes replaces the one that the model was trained on; the answers stay, so that every later run
comes to the same pairs without model and without that dataset.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from beam_jobs.corpus.guided import PUBLISHED_JOB, EmbedJob, GuideModel, PublishedShard, RankJob, TrainImages
from beam_jobs.image_places import ImageSource, image_sources
from beam_jobs.index_step import NO_ANSWERS
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.miners.hard_rounds_config import HardRoundsConfig
from schemas.errors import ConfigurationError
from schemas.ids import canonical_json, digest

VERSION = "1"
_ROUNDS = "_work/hard_rounds.json"


@dataclass(frozen=True)
class Round:
    """One round: its number from 1, digest and kind of the model, digest of the dataset that it answered, the keys of
    its shards of rankings."""

    number: int
    model: str
    name: str
    dataset: str
    keys: tuple[str, ...]

    @property
    def title(self) -> str:
        """How `why` names it."""
        return f"round {self.number}, model {self.model[:12]}"


def stored_rounds(workspace: Workspace) -> list[Round]:
    """The rounds of an output folder, oldest first."""
    try:
        stored: list[dict[str, Any]] = workspace.folder.read_json(_ROUNDS)
    except FileNotFoundError:
        return []
    return [Round(**(one | {"keys": tuple(one["keys"])})) for one in stored]


def counting_rounds(workspace: Workspace, config: HardRoundsConfig) -> list[Round]:
    """Those of them that the settings let count."""
    return [one for one in stored_rounds(workspace) if config.rounds is None or one.number <= config.rounds]


def train_triplets(workspace: Workspace) -> int:
    """How many triplets the train split of the dataset has that was published last.

    Raises ConfigurationError where there are none to learn from."""
    published = workspace.manifests(PUBLISHED_JOB, workspace.in_force(PUBLISHED_JOB))
    if not published:
        raise ConfigurationError(
            f"{workspace.path} has published no dataset yet: run without --guided-by, train a model on its dataset, "
            "then let that guide the next round."
        )
    count = sum(int(one.notes["totals"]["train"][0]) for one in published)
    if not count:
        raise ConfigurationError(
            f"the dataset of {workspace.path} has no train triplets, from whose mistakes a round is mined: publish "
            "more, or raise publish_dataset.shares.train."
        )
    return count


def run_rounds(session: Session, guide: GuideModel | None, config: HardRoundsConfig) -> list[tuple[Round, Manifest]]:
    """The shards of rankings of all rounds that count, in their order; a model that has no round yet gets one."""
    workspace = session.workspace
    rounds = stored_rounds(workspace)
    if guide is not None and guide.digest not in {one.model for one in rounds}:
        rounds.append(_new_round(session, guide, config, len(rounds) + 1))
        data = json.dumps([asdict(one) for one in rounds], indent=1).encode()
        workspace.folder.replace(_ROUNDS, data)
    found = [(one, manifest) for one in rounds for manifest in workspace.manifests(RankJob.stage, one.keys)]
    if found:
        # Those that do not count now stay all the same: they are made of what is no more.
        session.set_in_force(RankJob.stage, [manifest for _, manifest in found])
    counting = counting_rounds(workspace, config)
    return [(one, manifest) for one, manifest in found if one in counting]


def _new_round(session: Session, guide: GuideModel, config: HardRoundsConfig, number: int) -> Round:
    workspace = session.workspace
    triplets = train_triplets(workspace)
    keys = workspace.in_force(PUBLISHED_JOB)
    published = workspace.manifests(PUBLISHED_JOB, keys)
    sources = image_sources(workspace)
    basis = digest("round", basis_of(published), canonical_json(sources))
    tasks: list[ImageSource | PublishedShard] = [PublishedShard(place, key) for place, key in enumerate(keys)]
    tasks += [ImageSource(place) for place in range(len(sources))]
    images = session.index(TrainImages(workspace), tasks, basis)
    share = min(1.0, config.triplets / triplets)
    embed = EmbedJob(workspace, guide, share)
    planned = []
    for place, one in enumerate(published):
        told = images.get(asker(place), NO_ANSWERS)
        key = session.shard_key(embed.stage, VERSION, one.digest, told.digest, guide.digest, str(share))
        planned.append(Shard(key, {"published": one.key, "images": told}))
    session.progress.say(f"hard_rounds: round {number}, a {guide.name} model answers the train split.")
    embedded = session.shards(embed, planned)
    parts = [one.key for one in embedded]
    rank = RankJob(workspace, config.depth)
    ranked = session.shards(
        rank,
        [
            Shard(
                session.shard_key(rank.stage, VERSION, one, basis_of(embedded), str(config.depth)),
                {"queries": one, "parts": parts},
            )
            for one in parts
        ],
    )
    return Round(number, guide.digest, guide.name, basis_of(published), tuple(one.key for one in ranked))
