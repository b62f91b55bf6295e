"""Images that meet under keys: keys of each shard, how many images have a key, and the pairs of those that met."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from beam_jobs.corpus.find import found_row
from beam_jobs.corpus.images import PagesShard, standing_places
from beam_jobs.index_step import NO_ANSWERS, Answers, Message, answer_map, read_answers
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.annotation import AnnotateConfig
from mining.mine_config import MineConfig
from mining.miners.interface import CorpusImage, Found
from mining.miners.make import meeting_miner, meeting_miners
from schemas.ids import canonical_json, digest
from schemas.settings import settings_digest

VERSION = "2"
#: More images than this meet under no key: it would say nothing of them, and one worker would have them all.
MAX_MEMBERS = 5000
_COUNT = struct.Struct("<I")


@dataclass(frozen=True)
class KeysJob:
    """The keys of the images whose standing places lie in a shard: rows of `meetings`, sorted by miner and key."""

    workspace: Workspace
    config: MineConfig
    models: AnnotateConfig
    stage: str = "mine_pairs.keys"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Pages' alternates are read from the shard of extraction that the pages came from."""
        pages: PagesShard = shard.work["pages"]
        extracted = self.workspace.manifests(*shard.work["extracted"])[0]
        found = rows(self.workspace, extracted, "pages", ["page_id", "alternates"])
        alternates = {
            row["page_id"]: [(one["language"], one["url"]) for one in row["alternates"]]
            for row in found
            if row["alternates"]
        }
        miners = [meeting_miner(name, self.config, self.models, alternates) for name in meeting_miners(self.config)]
        standing = standing_places(self.workspace, pages)
        told = []
        for row in rows(self.workspace, pages.manifest(self.workspace), "eligible"):
            if standing.get(row["image_id"]) == (row["page_id"], row["position"]):
                image = corpus_image(row)
                told += [(one.name, key, image.image_id, said) for one in miners for key, said in one.keys(image)]
        for miner, key, image_id, said in sorted(told):
            writer.row("meetings", {"miner": miner, "key": key, "image_id": image_id, "said": said})


@dataclass(frozen=True)
class MeetingTask:
    """A shard of keys, with the keys under which several images meet."""

    number: int
    key: str
    shared: Answers = NO_ANSWERS


@dataclass(frozen=True)
class MeetingCounts:
    """How many images have a key: most have one, and do not travel."""

    workspace: Workspace
    name: str = "meeting_counts"

    def messages(self, task: MeetingTask) -> Iterator[Message]:
        """Counts of the shard."""
        counts = Counter(row["key"] for row in _keys(self.workspace, task, ["key"]))
        for key in sorted(counts):
            # The number makes equal counts of two shards two messages.
            yield key, asker(task.number), asker(task.number).encode() + _COUNT.pack(counts[key])

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """To all who have such images, where at least two meet, and no more than can be compared."""
        total = sum(_COUNT.unpack(value[-_COUNT.size :])[0] for value in values)
        if 2 <= total <= MAX_MEMBERS:
            yield from ((one, b"") for one in askers)


@dataclass(frozen=True)
class Meetings:
    """The pairs of the images that met under a key, each to the shard of its query image."""

    workspace: Workspace
    config: MineConfig
    name: str = "meetings"

    def messages(self, task: MeetingTask) -> Iterator[Message]:
        """Members of the keys that several images have."""
        shared = answer_map(self.workspace, task.shared.path)
        own = asker(task.number).encode()
        for row in _keys(self.workspace, task, ["miner", "key", "image_id", "said"]):
            if row["key"] in shared:
                yield f"{row['miner']} {row['key']}", "", own + bytes.fromhex(row["image_id"]) + row["said"]

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Each pair as JSON."""
        name, _, shared = key.partition(" ")
        owners = {value[6:38].hex(): value[:6].decode() for value in values}
        members = sorted((value[6:38].hex(), value[38:]) for value in values)
        for found in meeting_miner(name, self.config).find(shared, members):
            yield owners[found.query_id], canonical_json(asdict(found)).encode()


@dataclass(frozen=True)
class MetJob:
    """What met, as rows of `found`; of several rows of a pair by one miner the best stands."""

    workspace: Workspace
    stage: str = "mine_pairs.met"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """How many pairs each miner found goes into the notes."""
        best: dict[tuple[str, str, str], Found] = {}
        for key, value in read_answers(self.workspace, shard.work["met"].path):
            found = _found(json.loads(value))
            place = (key.partition(" ")[0], found.query_id, found.target_id)
            writer.entered("candidate_pair")
            if place in best:
                writer.rejected("candidate_pair", "under_another_key", id=f"{found.query_id} {found.target_id}")
            else:
                writer.kept("candidate_pair")
            before = best.get(place)
            if before is None or (-found.score, found.why) < (-before.score, before.why):
                best[place] = found
        counts = Counter(miner for miner, _, _ in best)
        for (miner, _, _), found in sorted(best.items()):
            writer.row("found", found_row(found, miner))
        writer.notes["found"] = dict(sorted(counts.items()))


def run_meetings(
    session: Session,
    extracted: Sequence[Manifest],
    shards: Sequence[PagesShard],
    config: MineConfig,
    models: AnnotateConfig,
) -> list[Manifest]:
    """What the miners of meetings find: a manifest for each shard of pages."""
    workspace = session.workspace
    names = meeting_miners(config)
    settings = digest(*(settings_digest(getattr(config, name)) for name in names), settings_digest(models))
    job = KeysJob(workspace, config, models)
    planned = []
    for pages, source in zip(shards, extracted, strict=True):
        parts = (pages.digest, pages.standing.digest, source.digest, settings)
        key = session.shard_key(job.stage, VERSION, *parts)
        planned.append(Shard(key, {"pages": pages, "extracted": (source.stage, [source.key])}))
    keys = session.shards(job, planned)
    basis = basis_of(keys, settings)
    tasks = [MeetingTask(number, one.key) for number, one in enumerate(keys)]
    shared = session.index(MeetingCounts(workspace), tasks, basis)
    tasks = [MeetingTask(one.number, one.key, shared.get(asker(one.number), NO_ANSWERS)) for one in tasks]
    met = session.index(Meetings(workspace, config), tasks, basis)
    last = MetJob(workspace)
    answers = [met.get(asker(number), NO_ANSWERS) for number in range(len(keys))]
    return session.shards(
        last,
        [
            Shard(session.shard_key(last.stage, VERSION, one.key, told.digest, settings), {"met": told})
            for one, told in zip(keys, answers, strict=True)
        ],
    )


def corpus_image(row: Mapping[str, Any]) -> CorpusImage:
    """An image at the place of a row of `eligible`."""
    vector = row["embedding"]
    return CorpusImage(
        row["image_id"],
        row["url"],
        row["page_id"],
        row["page_url"],
        row["site"],
        row["position"],
        row["width"],
        row["height"],
        int(row["phash"], 16),
        row["sketch"],
        row["page_title"],
        row["language"],
        row["crawl_date"],
        row["text"],
        row["label"],
        row["caption"],
        None if vector is None else np.asarray(vector, np.float32),
    )


def _found(data: Mapping[str, Any]) -> Found:
    return Found(**{**data, "negatives": tuple(data["negatives"])})


def _keys(workspace: Workspace, task: MeetingTask, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    manifest = workspace.manifests(KeysJob.stage, [task.key])[0]
    yield from rows(workspace, manifest, "meetings", columns)
