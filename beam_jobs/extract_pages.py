"""Job `extract_pages`: archives to pages, places and archived images; and the revisits whose payload lies elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.index_step import Message, read_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.archives.inputs import ArchiveFile
from mining.extraction import ExtractConfig, extract_archive, resolve_revisits
from mining.payload_digests import payload_of
from schemas.settings import settings_digest

VERSION = "3"
REVISITS_JOB = "extract_pages.revisits"
#: Jobs whose manifests together are the stage's result, in this order.
EXTRACT_JOBS = ("extract_pages", REVISITS_JOB)


@dataclass(frozen=True)
class ExtractJob:
    """Reads the archives of one shard."""

    workspace: Workspace
    config: ExtractConfig
    stage: str = "extract_pages"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Parsing runs in a child process: what crashes a parser costs one record."""
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work["archives"], self.config)
        writer.take(child("extract").call("beam_jobs.extract_pages:extract_in_child", *arguments))


def extract_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    archives: Sequence[ArchiveFile],
    config: ExtractConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Read archives one after another."""
    writer = ShardWriter(Workspace(path), stage, key, attempt)
    for archive in archives:
        extract_archive(archive, config, writer, mark=mark, quarantine=quarantine)
    return writer.close()


@dataclass(frozen=True)
class FindPayloads:
    """Index step: payload digests of revisits, or addresses where they state none, to the records that hold them."""

    workspace: Workspace
    name: str = "find_payloads"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Shards with revisits ask; every shard tells of its payloads by its number and the row of its table."""
        assert task.number is not None
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        own = asker(task.number)
        for wanted in sorted({row["digest"] for row in rows(self.workspace, manifest, "revisits", ["digest"])}):
            yield wanted, own, b""
        for number, row in enumerate(rows(self.workspace, manifest, "payloads", ["digest", "url"])):
            where = f"{own} {number:09d}".encode()
            yield row["digest"], "", where
            yield payload_of(row["url"]), "", where

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first record in plan order."""
        if values:
            yield from ((one, values[0]) for one in askers)


@dataclass(frozen=True)
class RevisitsJob:
    """Resolves the revisits of one shard."""

    workspace: Workspace
    config: ExtractConfig
    stage: str = REVISITS_JOB

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Parsing runs in a child process."""
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work, self.config)
        writer.take(child("extract").call("beam_jobs.extract_pages:resolve_in_child", *arguments))


def resolve_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    work: Mapping[str, Any],
    config: ExtractConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Give each revisit of a shard the payload that the index found for its digest."""
    workspace = Workspace(path)
    writer = ShardWriter(workspace, stage, key, attempt)
    manifest = workspace.manifests("extract_pages", [work["key"]])[0]
    plan = workspace.in_force("extract_pages")
    found: dict[str, Mapping[str, Any]] = {}
    by_shard: dict[int, dict[int, list[str]]] = {}
    for wanted, place in read_answers(workspace, work["answers"]):
        holding, row = place.decode().split(" ")
        by_shard.setdefault(int(holding), {}).setdefault(int(row), []).append(wanted)
    for number, wanted_rows in sorted(by_shard.items()):
        holder = workspace.manifests("extract_pages", [plan[number]])[0]
        for index, payload in enumerate(rows(workspace, holder, "payloads")):
            found.update(dict.fromkeys(wanted_rows.get(index, ()), payload))

    def revisits() -> Iterable[tuple[dict[str, Any], Mapping[str, Any] | None]]:
        for revisit in rows(workspace, manifest, "revisits"):
            yield revisit, found.get(revisit["digest"])

    resolve_revisits(revisits(), config, writer, mark=mark, quarantine=quarantine)
    return writer.close()


def pack(archives: Sequence[ArchiveFile], target_bytes: int) -> list[list[ArchiveFile]]:
    """Archives in their order, neighbours together until a shard holds `target_bytes`."""
    shards: list[list[ArchiveFile]] = []
    held = 0
    for archive in archives:
        if not shards or held + archive.size > target_bytes:
            shards.append([])
            held = 0
        shards[-1].append(archive)
        held += archive.size
    return shards


def run_extract(session: Session, plan: Sequence[Sequence[ArchiveFile]], config: ExtractConfig) -> list[Manifest]:
    """Read all archives; a manifest for each planned shard, then one for each shard that has revisits."""
    workspace = session.workspace
    settings = settings_digest(config)
    job = ExtractJob(workspace, config)
    shards = [
        Shard(
            session.shard_key(job.stage, VERSION, settings, *(f"{one.path} {one.fingerprint}" for one in archives)),
            {"archives": list(archives)},
        )
        for archives in plan
    ]
    extracted = session.shards(job, shards)
    revisiting = [number for number, one in enumerate(extracted) if one.files.get("revisits")]
    if not revisiting:
        session.set_in_force(REVISITS_JOB, [])
        return extracted
    basis = basis_of(extracted)
    tasks = [LocateTask(one.stage, one.key, number) for number, one in enumerate(extracted)]
    answers = session.index(FindPayloads(workspace), tasks, basis)
    revisits = RevisitsJob(workspace, config)
    planned = []
    for number in revisiting:
        found = answers.get(asker(number))
        source = extracted[number]
        key = session.shard_key(
            revisits.stage, VERSION, settings, source.digest, found.digest if found else "none", str(number)
        )
        planned.append(Shard(key, {"key": source.key, "answers": found.path if found else None}))
    return [*extracted, *session.shards(revisits, planned)]
