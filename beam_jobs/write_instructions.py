"""Job `write_instructions`: requests meet in buckets by their id, are answered once, and answers go back to pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from beam_jobs.index_step import Answers, Message, answer_map, read_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from schemas.ids import digest
from schemas.settings import deciding_fields, settings_digest
from synthesis.config import WriteConfig
from synthesis.requests import NothingToAsk, Request, Variables, load_prompt
from synthesis.store import GenerationStore, answer
from synthesis.tasks import make_task
from synthesis.writers import load_writer
from synthesis.writing import Answer, Unanswered, write_triplets

VERSION = "2"
ANSWERS_JOB = "write_instructions.answers"
#: Requests of one shard, at most: what a worker holds at once.
SHARD_REQUESTS = 2048


@dataclass(frozen=True)
class RequestsStep:
    """Index step: requests of all pairs to the buckets that answer them, equal ones once."""

    workspace: Workspace
    config: WriteConfig
    buckets: int
    name: str = "requests"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Variables of each distinct request of a shard."""
        made = make_task(self.config)
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        told: dict[str, bytes] = {}
        for pair in rows(self.workspace, manifest, "pairs"):
            variables = Variables.of_pair(pair)
            request = made.format_input(variables)
            if isinstance(request, Request):
                told[request.request_id] = variables.pack()
        for request_id in sorted(told):
            yield request_id, self._bucket(request_id), told[request_id]

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """One message to the one bucket."""
        yield askers[0], values[0]

    def _bucket(self, request_id: str) -> str:
        return f"{int(request_id[:8], 16) % self.buckets:04d}"


@dataclass(frozen=True)
class AnswerJob:
    """Answers the requests of a bucket, or of a part of a large one."""

    workspace: Workspace
    config: WriteConfig
    stage: str = ANSWERS_JOB

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The model runs in a child process, which is asked for again where it crashes."""
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work, self.config)
        limit = self.config.attempts * (2 * self.config.timeout + self.config.max_wait) + 60
        writer.take(child("write", limit).call("beam_jobs.write_instructions:answer_in_child", *arguments))
        writer.notes["bucket"] = shard.work["store"]


def answer_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    work: Mapping[str, Any],
    config: WriteConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Render and answer the requests of a shard; the model is loaded only if the store lacks some."""
    workspace = Workspace(path)
    writer = ShardWriter(workspace, stage, key, attempt)
    task = make_task(config)
    told = islice(read_answers(workspace, work["answers"]), work["first"], work["last"])
    found = (task.format_input(Variables.unpack(value)) for _, value in told)
    requests = {request.request_id: request for request in found if isinstance(request, Request)}
    standing = {
        row["request_id"]: row
        for manifest in workspace.manifests(stage, work["standing"])
        for row in rows(workspace, manifest, "generations")
        if row["request_id"] in requests
    }
    store = GenerationStore(workspace.folder, f"_work/generation_parts/{work['store']}")
    answer(requests.values(), lambda: load_writer(config), store, config, writer, mark, quarantine, standing)
    return writer.close()


@dataclass(frozen=True)
class AnswersStep:
    """Index step: answers back to the shards whose pairs asked, and why others have none."""

    workspace: Workspace
    config: WriteConfig
    name: str = "answers"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Answered shards (without a number) tell, shards of pairs ask."""
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        if task.number is None:
            for row in rows(self.workspace, manifest, "generations", ["request_id", "text", "prompt", "model"]):
                yield row["request_id"], "", _packed(row["text"], row["prompt"], row["model"])
            for row in rows(self.workspace, manifest, "rejected", ["id", "reason"]):
                # Of refusals a pair need not know the kind.
                failed = row["reason"].startswith("error:")
                yield row["id"], "", _packed(row["reason"].removeprefix("error:") if failed else "")
            return
        made = make_task(self.config)
        asked = {
            request.request_id
            for pair in rows(self.workspace, manifest, "pairs")
            if isinstance(request := made.format_input(Variables.of_pair(pair)), Request)
        }
        for request_id in sorted(asked):
            yield request_id, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The answer to everyone."""
        if values:
            yield from ((one, values[0]) for one in askers)


def _packed(*parts: str) -> bytes:
    return json.dumps(parts, ensure_ascii=False).encode()


def _unpacked(told: bytes | None) -> Answer | Unanswered:
    parts = json.loads(told) if told is not None else [""]
    if len(parts) == 1:
        return Unanswered(parts[0] or "no_answer", failed=bool(parts[0]))
    return Answer(*parts)


@dataclass(frozen=True)
class TripletsJob:
    """Pairs and answers of one shard to triplets; no model is called."""

    workspace: Workspace
    config: WriteConfig
    stage: str = "write_instructions"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `triplets`."""
        task = make_task(self.config)
        answers = answer_map(self.workspace, shard.work["answers"])
        manifest = self.workspace.manifests(shard.work["job"], [shard.work["key"]])[0]

        def joined() -> Iterator[tuple[Mapping[str, Any], Answer | Unanswered]]:
            for pair in rows(self.workspace, manifest, "pairs"):
                request = task.format_input(Variables.of_pair(pair))
                if isinstance(request, NothingToAsk):
                    yield pair, Unanswered(request.reason)
                else:
                    yield pair, _unpacked(answers.get(request.request_id))

        write_triplets(joined(), task, self.config, writer)


def run_write(session: Session, mined: Sequence[Manifest], buckets: int, config: WriteConfig) -> list[Manifest]:
    """Write texts for all pairs; a manifest for each shard of pairs, in the order of their plan."""
    workspace = session.workspace
    asking = _asking_digest(config)
    basis = basis_of(mined, asking, VERSION)
    tasks = [LocateTask(one.stage, one.key, number) for number, one in enumerate(mined)]
    requests = session.index(RequestsStep(workspace, config, buckets), tasks, basis)
    answered = session.shards(AnswerJob(workspace, config), _answer_shards(session, requests, asking))
    tasks += [LocateTask(one.stage, one.key) for one in answered]
    answers = session.index(AnswersStep(workspace, config), tasks, basis_of(answered, basis))
    job = TripletsJob(workspace, config)
    shards = []
    for number, one in enumerate(mined):
        found = answers.get(asker(number), Answers(None, "none"))
        key = session.shard_key(job.stage, VERSION, one.digest, found.digest, settings_digest(config))
        shards.append(Shard(key, {"job": one.stage, "key": one.key, "answers": found.path}))
    return session.shards(job, shards)


def _answer_shards(session: Session, requests: Mapping[str, Answers], asking: str) -> list[Shard]:
    """The buckets, large ones in parts. Each is told which shards in force hold answers of its bucket: what they
    settled stands, unless the stage was forced to ask anew."""
    workspace, forced = session.workspace, session.forced_times(ANSWERS_JOB)
    standing: dict[str, list[str]] = {}
    for manifest in workspace.manifests(ANSWERS_JOB, workspace.in_force(ANSWERS_JOB)):
        standing.setdefault(manifest.notes.get("bucket", ""), []).append(manifest.key)
    planned = []
    for bucket in sorted(requests):
        found = requests[bucket]
        store = f"{bucket}-{forced}" if forced else bucket
        for first in range(0, found.weight, SHARD_REQUESTS):
            part = (str(first),) if found.weight > SHARD_REQUESTS else ()
            key = session.shard_key(ANSWERS_JOB, VERSION, asking, bucket, found.digest, *part)
            bounds = {"first": first, "last": min(first + SHARD_REQUESTS, found.weight)}
            work = bounds | {"answers": found.path, "store": store, "standing": standing.get(store, [])}
            planned.append(Shard(key, work))
    return planned


def _asking_digest(config: WriteConfig) -> str:
    """Digest of what decides requests and answers: filters do not, so that changing one calls no model."""
    fields = {name: value for name, value in deciding_fields(config).items() if name != "filters"}
    return digest("asking", json.dumps(fields, sort_keys=True), load_prompt(config.task).source)
