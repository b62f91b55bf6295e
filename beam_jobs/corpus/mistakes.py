"""Job `mine_pairs.mistakes`: answers of rounds to new pairs, and to hard negatives of the pairs that were answered."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.corpus.choose import pair_key
from beam_jobs.corpus.compose import Source
from beam_jobs.corpus.find import found_row
from beam_jobs.corpus.images import Asking, CorpusPlaces, PagesShard, rows_of_places
from beam_jobs.corpus.rounds import Round
from beam_jobs.index_step import NO_ANSWERS, Message, answer_map
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.corpus_pairs import place_facts
from mining.mine_config import MineConfig
from mining.miners.hard_rounds import HardRounds, Ranking, best_of_each_pair
from mining.miners.interface import Found
from schemas.ids import digest
from schemas.settings import settings_digest

VERSION = "1"
#: Rounds count backwards, so that the latest comes first among sorted values.
_LATEST = struct.Struct(">H")
_IMAGE, _PLACE = 32, 10


@dataclass(frozen=True)
class MistakesJob:
    """The mistakes of a model in one shard of rankings: rows of `found` and `mistakes`."""

    workspace: Workspace
    config: MineConfig
    shards: tuple[PagesShard, ...]
    stage: str = "mine_pairs.mistakes"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """How many triplets were answered, how many of them wrongly, and how many pairs were found, goes into the
        notes."""
        own: Round = shard.work["round"]
        told = answer_map(self.workspace, shard.work["places"].path)
        places = rows_of_places(self.workspace, self.shards, told)
        facts = {image_id: place_facts(place) for image_id, place in places.items()}
        manifest = self.workspace.manifests(shard.work["job"], [shard.work["key"]])[0]
        rankings = [_ranking(row) for row in rows(self.workspace, manifest, "rankings")]
        right: dict[tuple[str, str], set[str]] = defaultdict(set)
        for one in rankings:
            right[one.query_id, one.text].add(one.target_id)
        miner = HardRounds(self.config)
        found: list[Found] = []
        mistakes = 0
        for one in rankings:
            mistake = miner.mistake(one, facts, right[one.query_id, one.text])
            if mistake is None:
                continue
            mistakes += 1
            found += miner.find(mistake, facts, own.title, writer)
            if negatives := miner.negatives(mistake, facts):
                writer.row(
                    "mistakes",
                    {
                        "query_image_id": mistake.query_id,
                        "target_image_id": mistake.target_id,
                        "round": own.number,
                        "rank": mistake.rank,
                        "negatives": list(negatives),
                        "places": [told[image_id] for image_id in negatives],
                    },
                )
        best = best_of_each_pair(found)
        for pair in best:
            writer.row("found", found_row(pair, miner.name))
        writer.notes.update(answered=len(rankings), mistakes=mistakes, found={miner.name: len(best)})


@dataclass(frozen=True)
class MistakeNegatives:
    """The wrong answers to a pair, with where they lie, told to the sources of candidates that hold it."""

    workspace: Workspace
    count: int
    name: str = "mistake_negatives"

    def messages(self, task: Source | Manifest) -> Iterator[Message]:
        """Shards of mistakes tell, sources ask."""
        if isinstance(task, Manifest):
            for row in rows(self.workspace, task, "mistakes"):
                images = b"".join(
                    bytes.fromhex(one) + at for one, at in zip(row["negatives"], row["places"], strict=True)
                )
                yield pair_key(row), "", _LATEST.pack(0xFFFF - row["round"]) + images
            return
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        columns = ["query_image_id", "target_image_id"]
        for key in sorted({pair_key(row) for row in rows(self.workspace, manifest, "candidates", columns)}):
            yield key, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Those of the latest round first, each once, as many as the settings ask for."""
        chosen: dict[bytes, bytes] = {}
        for value in values:
            for image_id, place in _images(value[_LATEST.size :]):
                chosen.setdefault(image_id, place)
        answer = b"".join(image_id + place for image_id, place in list(chosen.items())[: self.count])
        if answer:
            yield from ((one, answer) for one in askers)


def pair_negatives(workspace: Workspace, source: Source) -> Mapping[str, Mapping[str, bytes]]:
    """Key of a pair → its wrong answers, the hardest first, with where their rows of `eligible` lie."""
    found = source.answers(MistakeNegatives.name)
    told = answer_map(workspace, found.path if found else None)
    return {key: {image_id.hex(): place for image_id, place in _images(value)} for key, value in told.items()}


def find_mistakes(
    session: Session,
    shards: Sequence[PagesShard],
    rankings: Sequence[tuple[Round, Manifest]],
    config: MineConfig,
    basis: str,
) -> list[Manifest]:
    """What `hard_rounds` finds: a manifest for each shard of rankings. Says what each round came to."""
    workspace = session.workspace
    first = len(shards)
    asking = [
        Asking(first + place, one.stage, one.key, "rankings", "answers") for place, (_, one) in enumerate(rankings)
    ]
    manifests = [one for _, one in rankings]
    told = basis_of(manifests, "mistakes", basis, *(one.standing.digest for one in shards))
    places = session.index(CorpusPlaces(workspace), [*shards, *asking], told)
    job = MistakesJob(workspace, config, tuple(shards))
    bounds = (str(config.near_duplicate_bits), str(config.near_duplicate_similarity))
    settings = digest(settings_digest(config.hard_rounds), settings_digest(config.hard_negatives), *bounds)
    planned = []
    for one, (own, manifest) in zip(asking, rankings, strict=True):
        located = places.get(asker(one.number), NO_ANSWERS)
        key = session.shard_key(
            job.stage, VERSION, manifest.key, manifest.digest, own.title, located.digest, basis, settings
        )
        planned.append(Shard(key, {"job": one.job, "key": one.key, "places": located, "round": own}))
    before = workspace.in_force(job.stage)
    found = session.shards(job, planned)
    if [one.key for one in found] != before:
        _say(session, rankings, found)
    return found


def _say(session: Session, rankings: Sequence[tuple[Round, Manifest]], found: Sequence[Manifest]) -> None:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for (own, _), manifest in zip(rankings, found, strict=True):
        notes: Mapping[str, Any] = manifest.notes
        counts = {name: notes[name] for name in ("answered", "mistakes")}
        sums[own.title].update(counts | {"pairs": notes["found"][HardRounds.name]})
    for title, counts in sums.items():
        session.progress.say(
            f"hard_rounds, {title}: {counts['mistakes']} mistakes in {counts['answered']} answers, "
            f"{counts['pairs']} pairs near them."
        )


def _ranking(row: Mapping[str, Any]) -> Ranking:
    """A row of `rankings`; scores are rounded anew, since float32 holds fewer digits."""
    scores = tuple(round(score, 4) for score in row["scores"])
    target = round(row["target_score"], 4)
    return Ranking(row["query_image_id"], row["target_image_id"], row["text"], tuple(row["answers"]), scores, target)


def _images(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    step = _IMAGE + _PLACE
    for start in range(0, len(value), step):
        yield value[start : start + _IMAGE], value[start + _IMAGE : start + step]
