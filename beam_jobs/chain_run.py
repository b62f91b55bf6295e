"""Runs a chain: for each step who owns which request, then the answers, then the next step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from beam_jobs.answer_requests import AnswerJob
from beam_jobs.chain_index import SHOWS_IMAGES, ImagePlaces, OwnersStep, StoredStep, StoreFiles, Wanted
from beam_jobs.chain_plan import VERSION, Budgets, Stores, packed_places, path_of, planned_shards, price_of
from beam_jobs.chain_rows import ChainSpec, Place, borrower, write_plan
from beam_jobs.choose_samples import chooses
from beam_jobs.image_places import ImageSource, image_sources
from beam_jobs.index_step import Answers
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.workspace import Manifest, basis_of
from mining.annotation import AnnotateConfig
from schemas.ids import canonical_json, digest
from schemas.settings import deciding_fields, settings_digest
from synthesis.chain import Link
from synthesis.prompt_files import has_prompt, load_prompt

#: Files of a store that one task of an index step reads.
_FILES = 64


@dataclass
class ChainRun:
    """What a chain has come to: a shard for each source, with what is needed to put its rows together, and the
    manifests of all answers."""

    places: list[Place]
    models: AnnotateConfig | None = None
    plans: list[str] = field(default_factory=list)
    keys: list[Mapping[str, Sequence[str]]] = field(default_factory=list)
    answered: list[Manifest] = field(default_factory=list)
    sent: int = 0
    cost: float = 0.0

    def digest_of(self, number: int) -> str:
        """Digest of what a shard's rows depend on beside their source."""
        parts = []
        for plan, keys, (owned, borrowed) in zip(self.plans, self.keys, self.places[number].owners, strict=True):
            parts += [*keys.get(asker(number), ()), _name(owned), _name(borrowed)]
            # Whose requests it borrows the shard alone knows: any of the others may have changed.
            parts += [_name(plan)] if borrowed is not None else []
        return digest("chain", *parts)

    def left(self, stores: Stores) -> Budgets:
        """What is left of the budgets."""
        requests = None if stores.max_requests is None else max(0, stores.max_requests - self.sent)
        return Budgets(requests, None if stores.max_cost is None else max(0.0, stores.max_cost - self.cost))


def run_chain(
    session: Session,
    spec: ChainSpec,
    sources: Sequence[Mapping[str, Any]],
    basis: str,
    stores: Stores,
    models: AnnotateConfig | None = None,
) -> ChainRun:
    """Answer all steps of a chain. `basis`: digest of the sources. Results of steps that are no part of it end.

    `models`: encoders that choose among several captions of an image; without them the captions choose."""
    run = ChainRun([Place(source, number) for number, source in enumerate(sources)], models)
    links = spec.chain.links
    for number, link in enumerate(links):
        basis = digest("chain", basis, asking_digest(link), VERSION)
        _answer_link(session, spec, number, run, basis, stores)
        basis = basis_of(run.answered, basis)
    session.let_go(spec.stage, {spec.job(link.name) for link in links})
    return run


def asking_digest(link: Link) -> str:
    """Digest of what decides the requests of a step: filters do not, so that changing one calls no model."""
    settings = canonical_json(deciding_fields(link.config))
    return digest("asking", link.name, settings, _source(link.name), _source(link.task.name))


def _source(name: str) -> str:
    return load_prompt(name).source if has_prompt(name) else ""


def _answer_link(session: Session, spec: ChainSpec, number: int, run: ChainRun, basis: str, stores: Stores) -> None:
    workspace, link = session.workspace, spec.chain.links[number]
    price = price_of(link, stores)
    plans = tuple(run.plans)
    owners = session.index(OwnersStep(workspace, spec, number, plans), run.places, basis)
    images = _image_places(session, spec, run, basis) if SHOWS_IMAGES in owners else {}
    stage = spec.job(link.name)
    # Another encoder chooses another sample; the answers stay in the store.
    more = [settings_digest(run.models)] if run.models is not None and chooses(link) else []
    forced = _forced_folder(session, stage, link)
    # Samples that are chosen among are answered together.
    packed = packed_places(run.places, owners, images, link, whole=bool(more))
    planned = planned_shards(session, stage, packed, run.left(stores), more, forced)
    shards = [shard for shard, _ in planned]
    missing = len(shards) if session.retry_failed else len(session.missing(stage, shards))
    if missing:
        shards = _with_hints(session, run, owners, stores, basis, planned, forced)
    lanes = _lanes(session, link, missing)
    job = AnswerJob(workspace, spec, number, plans, stores.own, lanes or 1, price, run.models)
    manifests = session.shards(job, shards, lanes)
    keys: dict[str, list[str]] = {}
    for (_, names), manifest in zip(planned, manifests, strict=True):
        for name in names:
            keys.setdefault(name, []).append(manifest.key)
    run.keys.append(keys)
    run.plans.append(write_plan(workspace, stage, keys, digest("plan", canonical_json(keys))[:32]))
    run.answered += manifests
    run.places = [
        replace(one, owners=(*one.owners, (path_of(owners, asker(one.number)), path_of(owners, borrower(one.number)))))
        for one in run.places
    ]
    for manifest in manifests:
        sent = manifest.notes.get("sent", {})
        run.sent += sent.get("requests", 0)
        if price is not None:
            run.cost += price.cost(sent.get("prompt_tokens", 0), sent.get("completion_tokens", 0))


def _forced_folder(session: Session, stage: str, link: Link) -> str | None:
    """Where in a store the answers lie that a forced stage has had since; None where every answer counts, as those of
    batches do, which only stores hold."""
    times = 0 if link.config.backend == "batch" else session.forced_times(stage)
    return f"{stage}.force-{times}" if times else None


def _lanes(session: Session, link: Link, shards: int) -> int | None:
    """Among how many workers an endpoint's concurrency is divided: no more than have something to do. Models in the
    workers' own processes have none."""
    if link.config.backend != "openai":
        return None
    return max(1, min(link.config.lanes or session.engine.workers, link.config.concurrency, shards))


def _with_hints(
    session: Session,
    run: ChainRun,
    owners: Mapping[str, Answers],
    stores: Stores,
    basis: str,
    planned: Sequence[tuple[Shard, Sequence[str]]],
    forced: str | None,
) -> list[Shard]:
    """The shards, told where the stores answer their requests: once a stage was forced, no older answer counts. This
    decides nothing but what is asked, and so is no part of their keys."""
    files = stores.files(session.workspace.path)
    if forced is not None:
        files = [(path, name) for path, name in files if f"/{forced}/" in f"/{name}"]
    if not files:
        return [shard for shard, _ in planned]
    tasks: list[StoreFiles | Wanted] = [
        StoreFiles(tuple(files[first : first + _FILES])) for first in range(0, len(files), _FILES)
    ]
    tasks += [Wanted(place.number, path_of(owners, asker(place.number))) for place in run.places]
    hints = session.index(StoredStep(session.workspace), tasks, digest("stored", basis, json.dumps(files)))
    return [
        Shard(shard.key, shard.work | {"hints": [path_of(hints, name) for name in names]}) for shard, names in planned
    ]


def _image_places(session: Session, spec: ChainSpec, run: ChainRun, basis: str) -> dict[str, Answers]:
    sources = image_sources(session.workspace)
    tasks: list[Place | ImageSource] = [*run.places, *(ImageSource(number) for number in range(len(sources)))]
    return session.index(ImagePlaces(session.workspace, spec), tasks, digest(basis, json.dumps(sources)))


def _name(path: str | None) -> str:
    """Name of a file of answers or a plan: it holds the digest of its content."""
    return "" if path is None else path.rsplit("/", 1)[-1]
