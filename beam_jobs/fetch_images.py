"""Job `fetch_images`: the pictures that no archive holds, their addresses each once, by buckets of hosts."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.annotate_images import pages_of_places
from beam_jobs.index_step import Answers, Message, answer_map, answers_folder, read_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.fetching.addresses import Address, bucket_of, host_of
from mining.fetching.bucket import fetch_bucket
from mining.fetching.config import FetchConfig
from mining.pages.addresses import match_key
from schemas.ids import digest
from schemas.settings import settings_digest

VERSION = "1"
_PARTS = "_work/plans/fetch_images"
_ADDRESS, _PLANNED = b"u", b"p"
#: Seconds without a sign of life after which an address in hand is given up: longer than any pause of ours.
_PATIENCE = 300.0


@dataclass(frozen=True)
class HeldStep:
    """Index step: which addresses of a shard's places some archive holds."""

    workspace: Workspace
    config: FetchConfig
    name: str = "held"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Addresses of archived images; addresses of all places of the shard."""
        assert task.number is not None
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        held = {match_key(row["url"]) for row in rows(self.workspace, manifest, "images", ["url"])}
        for key in sorted(held):
            yield key, "", b"h"
        named = {match_key(row["url"]) for row in rows(self.workspace, manifest, "page_images", ["url"])}
        for key in sorted(named):
            yield key, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Only addresses that are held are answered."""
        if values:
            yield from ((one, b"") for one in askers)


@dataclass(frozen=True)
class ToFetchTask:
    """A shard of places with the answers of `HeldStep`; or the answers file of an earlier part of the plan."""

    shard: LocateTask | None
    answers: str | None


@dataclass(frozen=True)
class ToFetchStep:
    """Index step: of each picture that no archive holds in any form its chosen address, to the bucket of its host."""

    workspace: Workspace
    config: FetchConfig
    buckets: int
    name: str = "to_fetch"

    def messages(self, task: ToFetchTask) -> Iterator[Message]:
        """Addresses with their bucket; those that an earlier part has are told as planned."""
        if task.shard is None:
            for key, _ in read_answers(self.workspace, task.answers):
                yield key, "", _PLANNED
            return
        manifest = self.workspace.manifests(task.shard.job, [task.shard.key])[0]
        held = answer_map(self.workspace, task.answers)
        refused = set()
        if self.config.opt_out == "drop":
            pages = rows(self.workspace, manifest, "pages", ["page_id", "opt_out"])
            refused = {row["page_id"] for row in pages if row["opt_out"]}
        wanted: dict[str, str] = {}
        for page in pages_of_places(self.workspace, manifest):
            if page[0]["page_id"] in refused:
                continue
            found = {place["group"] for place in page if match_key(place["url"]) in held}
            for place in page:
                if place["chosen"] and place["group"] not in found and place["url"].startswith("http"):
                    key = match_key(place["url"])
                    wanted[key] = min(place["url"], wanted.get(key, place["url"]))
        for key in sorted(wanted):
            yield key, f"{bucket_of(host_of(wanted[key]), self.buckets):04d}", _ADDRESS + wanted[key].encode()

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """One spelling of the address to its bucket, unless it is planned already."""
        if askers and values[0] != _PLANNED:
            yield askers[0], min(value for value in values if value[:1] == _ADDRESS)[1:]


@dataclass(frozen=True)
class FetchJob:
    """Fetches the addresses of one bucket, in a process of its own."""

    workspace: Workspace
    config: FetchConfig
    stage: str = "fetch_images"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """A retry asks again for what failed or was deferred, and keeps everything else."""
        previous = None
        if "previous" in shard.work:
            previous = self.workspace.manifests(self.stage, [shard.work["previous"]])[0]
            self._keep(previous, writer)
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work, self.config)
        writer.take(child("fetch", _PATIENCE).call("beam_jobs.fetch_images:fetch_in_child", *arguments))

    def _keep(self, previous: Manifest, writer: ShardWriter) -> None:
        entry = previous.counts.entry("address")
        writer.adopt("images", list(previous.files.get("images", ())))
        writer.entered("address", entry.kept + entry.rejected.total())
        writer.kept("address", entry.kept)
        writer.out("image", previous.counts.made["image"])
        for row in rows(self.workspace, previous, "rejected"):
            if not row["reason"].startswith("error:"):
                writer.rejected("address", row["reason"], id=row["id"], url=row["url"], detail=row["detail"])


def fetch_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    work: Mapping[str, Any],
    config: FetchConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Fetch a bucket. What a call that died had fetched lies in a scratch folder that the next one takes up."""
    workspace = Workspace(path)
    # The parent holds what it kept of an earlier round under the same attempt: the files must not meet.
    writer = ShardWriter(workspace, stage, key, f"{attempt}f")
    if "previous" in work:
        previous = workspace.manifests(stage, [work["previous"]])[0]
        addresses = {row["url"] for row in rows(workspace, previous, "deferred", ["url"])}
        failed = rows(workspace, previous, "rejected", ["url", "reason"])
        addresses |= {row["url"] for row in failed if row["reason"].startswith("error:")}
    else:
        addresses = {value.decode() for _, value in read_answers(workspace, work["answers"])}
    scratch = os.path.join(tempfile.gettempdir(), "lensmith-fetch", f"{digest(path)[:12]}-{key}")
    os.makedirs(scratch, exist_ok=True)
    fetch_bucket([Address(url) for url in sorted(addresses)], config, writer, mark, quarantine, scratch)
    os.rmdir(scratch)
    return writer.close()


def run_fetch(session: Session, extracted: Sequence[Manifest], buckets: int, config: FetchConfig) -> list[Manifest]:
    """Fetch what no archive holds; a manifest for each bucket of each part of the plan."""
    job = FetchJob(session.workspace, config)
    settings = settings_digest(config)
    shards = []
    for part in _plan(session, extracted, buckets, config):
        session.used_answers.add(answers_folder("to_fetch", part["key"]))
        for bucket, (path, answers_digest) in sorted(part["buckets"].items()):
            key = session.shard_key(job.stage, VERSION, settings, bucket, answers_digest)
            shards.append(Shard(key, {"answers": path}))
    return session.shards(job, shards)


def _plan(session: Session, extracted: Sequence[Manifest], buckets: int, config: FetchConfig) -> list[dict[str, Any]]:
    """The parts of the plan; pages that are new or changed since the last part add one."""
    workspace = session.workspace
    parts: list[dict[str, Any]] = [
        workspace.folder.read_json(f"{_PARTS}/{name}") for name in workspace.folder.list(_PARTS)
    ]
    basis = digest(basis_of(extracted), config.opt_out)
    if parts and parts[-1]["basis"] == basis:
        return parts
    shards = [LocateTask(one.stage, one.key, number) for number, one in enumerate(extracted)]
    held = session.index(HeldStep(workspace, config), shards, basis)
    tasks = [ToFetchTask(one, held.get(asker(number), Answers(None, "")).path) for number, one in enumerate(shards)]
    earlier = [path for part in parts for path, _ in part["buckets"].values()]
    tasks += [ToFetchTask(None, path) for path in earlier]
    key = digest(basis, *earlier)
    found = session.index(ToFetchStep(workspace, config, buckets), tasks, key)
    part = {
        "basis": basis,
        "key": key,
        "buckets": {bucket: [answers.path, answers.digest] for bucket, answers in sorted(found.items())},
    }
    name = f"{_PARTS}/{len(parts):04d}.json"
    workspace.folder.create(name, json.dumps(part, indent=1).encode())
    return [*parts, workspace.folder.read_json(name)]
