"""Index steps for near duplicates across the crawl by their hashes: which images may have one, and the rounds that
settle who survives.

First only hashes meet, eight bytes each, one for each hash, shard and band: what is near nothing, nearly every image,
takes no further part. The others meet with their sketches in rounds (`mining.near_duplicate_rounds`).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beam_jobs.index_step import NO_ANSWERS, Answers, Message, answer_map
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.hamming_search import band_keys, pairs_within
from mining.near_duplicate_bucket import meet
from mining.near_duplicate_rounds import Standing
from mining.near_duplicates import HashedImage, NearDuplicatesConfig
from schemas.ids import digest
from schemas.settings import settings_digest

VERSION = "2"
_COLUMNS = ["image_id", "phash", "width", "height", "sketch"]
_HASH = struct.Struct(">IQ")
#: Open images of one hash that a bucket sees at once, over all shards; a shard sends at least a few.
_IN_BUCKET, _FROM_SHARD = 1024, 4


@dataclass(frozen=True)
class HashTask:
    """A shard of annotations; `usable`: the answers that name those of its images that take part, where not all do."""

    shard: LocateTask
    usable: Answers | None = None


@dataclass(frozen=True)
class NearHashes:
    """Hashes of shards of `annotations` that lie near another one, or that several shards have."""

    workspace: Workspace
    distance: int
    name: str = "near_hashes"

    def messages(self, task: HashTask) -> Iterator[Message]:
        """Each distinct hash of the shard in each of its bands."""
        assert task.shard.number is not None
        own = asker(task.shard.number)
        for phash in sorted(_hashes(self.workspace, task)):
            value = _HASH.pack(task.shard.number, phash)
            yield from ((key, own, value) for key in band_keys(phash, self.distance))

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """To each shard those of its hashes that others of the band are near to."""
        if len(values) < 2:
            return
        told = np.frombuffer(b"".join(values), np.dtype([("shard", ">u4"), ("phash", ">u8")]))
        groups = pairs_within(told["phash"].astype(np.uint64), self.distance)
        met = np.bincount(groups.numbers, minlength=len(groups.distinct)) > 1
        met[groups.first] = met[groups.second] = True
        found = told[met[groups.numbers]]
        for shard in np.unique(found["shard"]):
            yield asker(int(shard)), np.sort(found["phash"][found["shard"] == shard]).tobytes()


@dataclass(frozen=True)
class RoundTask:
    """A shard of annotations with the answers of `NearHashes` and those of the rounds before."""

    source: HashTask
    hashes: str | None
    rounds: tuple[str | None, ...] = ()

    @property
    def number(self) -> int:
        """Number of the shard."""
        assert self.source.shard.number is not None
        return self.source.shard.number


@dataclass(frozen=True)
class NearDuplicateRounds:
    """One round: open images and awaited survivors of all shards meet in bands of their hashes."""

    workspace: Workspace
    config: NearDuplicatesConfig
    #: Open images of one hash that a shard sends at most. It decides how many rounds there are, not the verdict.
    sent: int
    name: str = "near_duplicate_rounds"

    def messages(self, task: RoundTask) -> Iterator[Message]:
        """What the shard sends in this round."""
        own = asker(task.number)
        yield from ((key, own, value) for key, value in self.standing(task).messages())

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Who is blocked, claimed or awaited."""
        if len(values) > 1:
            yield from ((asker(number), answer) for number, answer in meet(values, self.config))

    def standing(self, task: RoundTask) -> Standing:
        """The shard after the rounds that are done."""
        known = Standing(task.number, self._images(task), self.config, self.sent)
        for path in task.rounds:
            known.advance(answer_map(self.workspace, path).values())
        return known

    def _images(self, task: RoundTask) -> Iterator[HashedImage]:
        near = {
            int(phash)
            for data in answer_map(self.workspace, task.hashes).values()
            for phash in np.frombuffer(data, ">u8")
        }
        near |= {phash for phash, count in _hashes(self.workspace, task.source).items() if count > 1}
        if near:
            yield from (image for image in _usable(self.workspace, task.source) if image.phash in near)


@dataclass(frozen=True)
class NearDuplicateSurvivors:
    """The verdict: each rejected image of a shard to its survivor (32 bytes)."""

    workspace: Workspace
    rounds: NearDuplicateRounds
    name: str = "near_duplicate_survivors"

    def messages(self, task: RoundTask) -> Iterator[Message]:
        """Rejected images with their survivors."""
        own = asker(task.number)
        # The last round had no answers: whoever was open then survives.
        known = self.rounds.standing(task)
        known.advance(())
        for image_id, survivor in known.rejected().items():
            yield image_id, own, bytes.fromhex(survivor)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The same to each shard that has the image."""
        yield from ((one, values[0]) for one in askers)


def run_near_duplicates(
    session: Session,
    annotated: Sequence[Manifest],
    config: NearDuplicatesConfig,
    usable: Mapping[str, Answers] | None = None,
) -> dict[str, Answers]:
    """Near duplicates among the images of the shards of `annotations`: for each shard, by its number in `annotated`
    (see `asker`), image id → id of the survivor (32 bytes) for its rejected images. A shard without any has no answers.

    `usable`: shard → answers whose keys are the images that take part, for only such shall survive in the place of
    another; None is all. Only hashes and sketches are compared here: whom features are near to is judged among the
    survivors (`beam_jobs.feature_duplicates`).
    """
    workspace = session.workspace
    config = config.model_copy(update={"feature_similarity": None})
    told = [] if usable is None else [usable.get(asker(number), NO_ANSWERS) for number in range(len(annotated))]
    basis = basis_of(annotated, settings_digest(config), *(one.digest for one in told), VERSION)
    shards = [
        HashTask(LocateTask(one.stage, one.key, number), told[number] if told else None)
        for number, one in enumerate(annotated)
    ]
    hashes = session.index(NearHashes(workspace, config.distance), shards, basis)
    step = NearDuplicateRounds(workspace, config, max(_FROM_SHARD, _IN_BUCKET // max(len(shards), 1)))
    done: list[Mapping[str, Answers]] = []
    while True:
        tasks = [
            RoundTask(one, _path(hashes, number), tuple(_path(answers, number) for answers in done))
            for number, one in enumerate(shards)
        ]
        # A round always settles the best open image, so that there is a last one.
        answers = session.index(step, tasks, digest("round", str(len(done)), basis))
        if not answers:
            return session.index(NearDuplicateSurvivors(workspace, step), tasks, basis)
        done.append(answers)


def _path(answers: Mapping[str, Answers], number: int) -> str | None:
    found = answers.get(asker(number))
    return found.path if found else None


def _hashes(workspace: Workspace, task: HashTask) -> Counter[int]:
    """Hash → images of the shard that have it."""
    return Counter(image.phash for image in _usable(workspace, task))


def _usable(workspace: Workspace, task: HashTask) -> Iterator[HashedImage]:
    wanted = None if task.usable is None else answer_map(workspace, task.usable.path)
    manifest = workspace.manifests(task.shard.job, [task.shard.key])[0]
    for row in rows(workspace, manifest, "annotations", _COLUMNS):
        if wanted is None or row["image_id"] in wanted:
            yield HashedImage(row["image_id"], int(row["phash"], 16), row["width"] * row["height"], row["sketch"])
