"""Shard jobs that answer the requests of one step: what no store answers is asked of the step's model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from beam_jobs.chain_rows import ChainSpec, Place, advanced
from beam_jobs.choose_samples import choices, chooses, sketches_of
from beam_jobs.image_places import ImagePlace
from beam_jobs.index_step import answer_map, read_answers
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.shown_images import shown_images
from beam_jobs.supervised import child
from beam_jobs.workspace import Workspace
from mining.annotation import AnnotateConfig
from schemas.storage import Folder
from schemas.thumbnails import ScaledImages
from synthesis.asking import Asking, answer
from synthesis.chain import Question, follow_up
from synthesis.costs import Budget, Price
from synthesis.requests import Request
from synthesis.store import GenerationStore, read_answers_of, settled_first
from synthesis.writers import load_writer


@dataclass(frozen=True)
class AnswerJob:
    """Answers the requests that some shards of a chain own. `lanes`: among how many workers the endpoint's concurrency
    is divided; each runs its shards one after the other, so that the limit holds over all workers without a word
    between them. `models`: the encoders by which the best of several captions is chosen."""

    workspace: Workspace
    spec: ChainSpec
    link: int
    plans: tuple[str, ...]
    store: str
    lanes: int = 1
    price: Price | None = None
    models: AnnotateConfig | None = None

    @property
    def stage(self) -> str:
        """A job for each step."""
        return self.spec.job(self.spec.chain.links[self.link].name)

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The model runs in a child process, which is asked for again where it crashes."""
        config = self.spec.chain.links[self.link].config
        limit = config.attempts * (2 * config.timeout + config.max_wait) + 60
        arguments = (self, shard.key, writer.attempt, shard.work)
        writer.take(child("write", limit).call("beam_jobs.answer_requests:answer_in_child", *arguments))


def answer_in_child(
    job: AnswerJob, key: str, attempt: str, work: Mapping[str, Any], *, mark: Any, quarantine: Mapping[str, str]
) -> WrittenShard:
    """Put the rows of the shards together and answer what they own. The model is loaded only if no store has it all."""
    workspace, link = job.workspace, job.spec.chain.links[job.link]
    writer = ShardWriter(workspace, job.stage, key, attempt)
    questions, requests = _owned(job, work)
    config = link.config
    asking = Asking(
        GenerationStore(Folder(job.store), work["store"]),
        config,
        None if config.backend == "batch" else lambda: load_writer(config, job.lanes),
        follow_up(questions, link.step),
        _images(workspace, work["images"]),
        mark,
        quarantine,
        Budget(work["max_requests"], work["max_cost"], job.price),
    )
    known = _known(workspace, work["hints"], frozenset(requests))
    usage = answer(requests.values(), asking, writer, known)
    if chooses(link) and job.models is not None:
        known_sketches = sketches_of(workspace, [member["source"] for member in work["members"]])
        distinct = {question.requests[0].request_id: question for question in questions.values()}
        for row in choices(link, distinct.values(), usage.texts, job.models, known_sketches):
            writer.row("choices", row)
    writer.notes["usage"] = [[*of, dict(counted)] for of, counted in sorted(usage.tokens.items())]
    writer.notes["sent"] = dict(usage.sent)
    return writer.close()


def _owned(job: AnswerJob, work: Mapping[str, Any]) -> tuple[dict[str, Question], dict[str, Request]]:
    chain = job.spec.chain
    link = chain.links[job.link]
    questions: dict[str, Question] = {}
    requests: dict[str, Request] = {}
    for member in work["members"]:
        place = Place.of_work(member)
        owned = {
            name for name, _ in islice(read_answers(job.workspace, member["owned"]), member["first"], member["last"])
        }
        rows = advanced(job.workspace, job.spec, place, job.plans, chain=chain)
        for question in rows.questions(link):
            for request in question.requests:
                if request.request_id in owned and request.request_id not in requests:
                    requests[request.request_id] = request
                    questions[request.request_id] = question
    return questions, requests


def _known(workspace: Workspace, hints: Sequence[str | None], wanted: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Answers that lie in other stores, by where an index step found them. The first that is still there stands."""
    found: dict[str, dict[str, Any]] = {}
    by_file: dict[tuple[str, str], set[str]] = {}
    for path in hints:
        for request_id, places in answer_map(workspace, path).items():
            if request_id in wanted:
                for folder, name in json.loads(places):
                    by_file.setdefault((folder, name), set()).add(request_id)
    for folder, name in sorted(by_file, key=settled_first):
        for row in read_answers_of(Folder(folder), name, frozenset(by_file[folder, name])):
            found.setdefault(row["request_id"], row)
    return found


def _images(workspace: Workspace, paths: Sequence[str | None]) -> ScaledImages:
    """A reader of scaled images, by the places that an index step found."""
    places: dict[str, ImagePlace] = {}
    for path in paths:
        places |= {name: ImagePlace.unpack(data) for name, data in answer_map(workspace, path).items()}
    return shown_images(workspace, places)
