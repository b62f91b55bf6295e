"""Job `fetch_images`: the pictures that no archive holds, their addresses each once, by buckets of hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from beam_jobs.fetch_plan import DISALLOWED, WANTED, goes_on, plan_part
from beam_jobs.index_step import read_answers
from beam_jobs.scratch import scratch_folder
from beam_jobs.session import Progress, Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.fetching.addresses import Address, address_id
from mining.fetching.bucket import fetch_bucket
from mining.fetching.config import FetchConfig
from schemas.ids import digest
from schemas.settings import settings_digest

VERSION = "2"
#: Seconds without a sign of life after which an address in hand is given up: longer than any exchange may take.
_PATIENCE = 1500.0


@dataclass(frozen=True)
class FetchJob:
    """Fetches the addresses of one bucket, in a process of its own."""

    workspace: Workspace
    config: FetchConfig
    stage: str = "fetch_images"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """A retry asks again for what failed or was deferred, and keeps everything else. Where the outcomes before it
        are gone, since other settings were in force in the meantime, it asks for all."""
        work = dict(shard.work)
        previous = self.workspace.manifest(self.stage, work.pop("previous", ""))
        if previous is not None:
            work["previous"] = previous.key
            self._keep(previous, writer)
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, work, self.config)
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
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Fetch a bucket. What a call that died had fetched lies in a scratch folder that the next one takes up."""
    workspace = Workspace(path)
    # The parent holds what it kept of an earlier round under the same attempt: the files must not meet.
    writer = ShardWriter(workspace, stage, key, f"{attempt}f")
    writer.notes["budget"] = [config.host_budget, config.host_seconds]
    with scratch_folder(f"fetch-{digest(path)[:12]}-{key}", lambda: mark("")) as scratch:
        if workspace.manifest(stage, key) is not None:
            # Another attempt held the folder until it was done: this one has lost, and asks nobody.
            return writer.close()
        addresses = _addresses(workspace, stage, work, writer)
        fetch_bucket(addresses, config, writer, mark, quarantine, scratch)
        return writer.close()


def _addresses(workspace: Workspace, stage: str, work: Mapping[str, Any], writer: ShardWriter) -> list[Address]:
    """The addresses to ask for. Those that a robots.txt in the archives disallows are reported here."""
    if "previous" in work:
        previous = workspace.manifests(stage, [work["previous"]])[0]
        urls = {row["url"] for row in rows(workspace, previous, "deferred", ["url"])}
        dropped = rows(workspace, previous, "rejected", ["url", "reason"])
        urls |= {row["url"] for row in dropped if row["reason"].startswith("error:")}
        return [Address(url) for url in sorted(urls)]
    answers = [(value[:1], value[1:].decode()) for _, value in read_answers(workspace, work["answers"])]
    for url in sorted(url for flag, url in answers if flag == DISALLOWED):
        writer.entered("address")
        detail = "the robots.txt that the archives hold"
        writer.rejected("address", "robots_disallowed", id=address_id(url), url=url, detail=detail)
    return [Address(url) for url in sorted(url for flag, url in answers if flag == WANTED)]


def run_fetch(session: Session, extracted: Sequence[Manifest], buckets: int, config: FetchConfig) -> list[Manifest]:
    """Fetch what no archive holds; a manifest for each bucket of each part of the plan."""
    job = FetchJob(session.workspace, config)
    parts = plan_part(session, "chosen", extracted, (), buckets, config)
    fetched = _run_parts(session, job, parts)
    first = [
        one for part, manifests in zip(parts, fetched, strict=True) if part["kind"] == "chosen" for one in manifests
    ]
    if goes_on(first):
        more = plan_part(session, "others", extracted, first, buckets, config)
        if more != parts:
            fetched = _run_parts(_quiet(session), job, more)
    return [one for manifests in fetched for one in manifests]


def _run_parts(session: Session, job: FetchJob, parts: Sequence[Mapping[str, Any]]) -> list[list[Manifest]]:
    """Run the parts of a plan one after another: two of them may ask one host. Manifests by part, all in force."""
    settings = settings_digest(job.config)
    planned: list[list[Shard]] = []
    for number, part in enumerate(parts):
        shards = []
        for bucket, (path, answers_digest) in sorted(part["buckets"].items()):
            key = session.shard_key(job.stage, VERSION, settings, bucket, answers_digest)
            shards.append(Shard(key, {"answers": path}))
        manifests = (_quiet(session, session.retry_failed) if number else session).shards(job, shards)
        raised = [one for one, manifest in zip(shards, manifests, strict=True) if _was_raised(manifest, job.config)]
        if raised:
            _quiet(session, retry_failed=True).shards(job, raised)
        planned.append(shards)
    in_order = iter(_quiet(session).shards(job, [one for shards in planned for one in shards]))
    return [[next(in_order) for _ in shards] for shards in planned]


def _was_raised(manifest: Manifest, config: FetchConfig) -> bool:
    """Whether a shard put addresses off under a smaller budget than the present one."""
    addresses, seconds = manifest.notes.get("budget", (config.host_budget, config.host_seconds))
    deferred = any(entry.deferred for entry in manifest.counts.units.values())
    return deferred and (config.host_budget > addresses or config.host_seconds > seconds)


def _quiet(session: Session, retry_failed: bool = False) -> Session:
    """The session for a later round of its own work: that more shards are to do is no news."""
    progress = Progress(begin=session.progress.begin, say=lambda text: None)
    return replace(session, retry_failed=retry_failed, progress=progress)
