"""Runs a chain: for each step who owns which request, then the answers, then the next step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from beam_jobs.answer_requests import AnswerJob
from beam_jobs.chain_index import SHOWS_IMAGES, ImagePlaces, ImageSource, OwnersStep, StoredStep, StoreFiles, Wanted
from beam_jobs.chain_rows import ChainSpec, Place, borrower, write_plan
from beam_jobs.choose_samples import chooses
from beam_jobs.image_places import image_sources
from beam_jobs.index_step import Answers
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.workspace import Manifest, basis_of
from mining.annotation import AnnotateConfig
from schemas.errors import ConfigurationError
from schemas.ids import canonical_json, digest
from schemas.settings import deciding_fields, settings_digest
from synthesis.chain import Link
from synthesis.config import WriteConfig
from synthesis.costs import Price, load_prices
from synthesis.prompt_files import has_prompt, load_prompt
from synthesis.store import OWN_PARTS, store_files

VERSION = "3"
#: Requests of a shard, about: what a worker holds at once. Models in this process get small ones, since they are slow.
SHARD_REQUESTS = 4096
_SHARD_REQUESTS_IN_PROCESS = 128
#: Files of a store that one task of an index step reads.
_FILES = 64


@dataclass(frozen=True)
class Stores:
    """Where answers are: `own` is written to, all are read; and what may be spent."""

    own: str
    others: tuple[str, ...] = ()
    max_requests: int | None = None
    max_cost: float | None = None
    prices: str | None = None

    @classmethod
    def of(cls, config: WriteConfig, output: str) -> Stores:
        """The stores of a run: its own in the output folder, unless one is named."""
        own = config.generations[0] if config.generations else f"{output.rstrip('/')}/{OWN_PARTS}"
        return cls(own, config.generations[1:], config.max_requests, config.max_cost, config.prices)

    def files(self, output: str) -> list[tuple[str, str]]:
        """Folder and name of every file of answers, those in the output folder first."""
        output = output.rstrip("/")
        folders = [output, *(path for path in (self.own, *self.others) if path.rstrip("/") != f"{output}/{OWN_PARTS}")]
        return [file for path in dict.fromkeys(folders) for file in store_files(path)]


@dataclass
class ChainRun:
    """What a chain has come to: a shard for each source, with what is needed to put its rows together, and the
    manifests of all answers."""

    places: list[Place]
    models: AnnotateConfig | None = None
    plans: list[str] = field(default_factory=list)
    keys: list[Mapping[str, str]] = field(default_factory=list)
    answered: list[Manifest] = field(default_factory=list)
    sent: int = 0
    cost: float = 0.0

    def digest_of(self, number: int) -> str:
        """Digest of what a shard's rows depend on beside their source."""
        parts = []
        for plan, keys, (owned, borrowed) in zip(self.plans, self.keys, self.places[number].owners, strict=True):
            parts += [keys.get(asker(number), ""), _name(owned), _name(borrowed)]
            # Whose requests it borrows the shard alone knows: any of the others may have changed.
            parts += [_name(plan)] if borrowed is not None else []
        return digest("chain", *parts)


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
    price = _price(link, stores)
    plans = tuple(run.plans)
    owners = session.index(OwnersStep(workspace, spec, number, plans), run.places, basis)
    images = _image_places(session, spec, run, basis) if SHOWS_IMAGES in owners else {}
    stage = spec.job(link.name)
    # Another encoder chooses another sample; the answers stay in the store.
    more = [settings_digest(run.models)] if run.models is not None and chooses(link) else []
    packed = _packed(run.places, owners, images, link)
    planned = _planned(session, stage, packed, stores, run, more, _forced_folder(session, stage, link))
    shards = [shard for shard, _ in planned]
    missing = len(shards) if session.retry_failed else len(session.missing(stage, shards))
    if missing:
        shards = _with_hints(session, run, owners, stores, basis, planned, _forced_folder(session, stage, link))
    lanes = _lanes(session, link, missing)
    job = AnswerJob(workspace, spec, number, plans, stores.own, lanes or 1, price, run.models)
    manifests = session.shards(job, shards, lanes)
    keys = {name: manifest.key for (_, names), manifest in zip(planned, manifests, strict=True) for name in names}
    run.keys.append(keys)
    run.plans.append(write_plan(workspace, stage, keys, digest("plan", canonical_json(keys))[:32]))
    run.answered += manifests
    run.places = [
        replace(one, owners=(*one.owners, (_path(owners, asker(one.number)), _path(owners, borrower(one.number)))))
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


def _price(link: Link, stores: Stores) -> Price | None:
    """The price of a step's model. Raises ConfigurationError where a budget of money needs one that is not there."""
    price = load_prices(stores.prices).get(link.config.model)
    if stores.max_cost is not None and price is None and link.config.backend in ("openai", "batch"):
        raise ConfigurationError(
            f"max_cost needs the price of {link.config.model!r}: add it to the file that write_instructions.prices "
            "names."
        )
    return price


def _planned(
    session: Session,
    stage: str,
    packed: Sequence[tuple[list[dict[str, Any]], int]],
    stores: Stores,
    run: ChainRun,
    more: Sequence[str],
    forced: str | None,
) -> list[tuple[Shard, list[str]]]:
    """Answer shards, each with the names of the chain's shards whose requests it answers. A budget is dealt out in the
    order of the plan: requests as far as they go, money in proportion, and so is what is left of requests for those
    that ask again."""
    left, left_cost = _left(stores, run)
    total = sum(weight for _, weight in packed)
    spare = 0 if left is None else max(0, left - total)
    planned = []
    for members, weight in packed:
        # What a shard owns are ids of requests, in which everything is that decides the answers.
        store = session.shard_key(stage, VERSION, *(one["digest"] for one in members))
        most = None
        if left is not None:
            dealt = min(left, weight)
            left -= dealt
            most = dealt + min(weight, spare * weight // max(1, total))
            # Each request is asked again once at most.
            most = most if most < 2 * weight else None
        share = None if left_cost is None else left_cost * weight / max(1, total)
        binding = [*more, *([f"requests {most}"] if most is not None else [])]
        binding += [f"cost {share:.9f}"] if share is not None else []
        work = {
            "members": [{name: one[name] for name in ("source", "number", "owners", "owned")} for one in members],
            "images": [one["images"] for one in members],
            "store": f"{forced or stage}/{store}",
            "hints": [],
            "max_requests": most,
            "max_cost": share,
        }
        key = digest("budget", store, *binding)[:32] if binding else store
        planned.append((Shard(key, work), [asker(one["number"]) for one in members]))
    return planned


def _left(stores: Stores, run: ChainRun) -> tuple[int | None, float | None]:
    requests = None if stores.max_requests is None else max(0, stores.max_requests - run.sent)
    return requests, None if stores.max_cost is None else max(0.0, stores.max_cost - run.cost)


def _lanes(session: Session, link: Link, shards: int) -> int | None:
    """Among how many workers an endpoint's concurrency is divided: no more than have something to do. Models in the
    workers' own processes have none."""
    if link.config.backend != "openai":
        return None
    return max(1, min(link.config.lanes or session.engine.workers, link.config.concurrency, shards))


def _packed(
    places: Sequence[Place], owners: Mapping[str, Answers], images: Mapping[str, Answers], link: Link
) -> list[tuple[list[dict[str, Any]], int]]:
    """Shards of a chain in groups of about as many requests as one answer shard holds, with their number."""
    target = SHARD_REQUESTS if link.config.backend in ("openai", "batch") else _SHARD_REQUESTS_IN_PROCESS
    groups: list[tuple[list[dict[str, Any]], int]] = []
    members: list[dict[str, Any]] = []
    weight = 0
    for place in places:
        found = owners.get(asker(place.number))
        if found is None or not found.weight:
            continue
        own = {"owned": found.path, "digest": found.digest, "images": _path(images, asker(place.number))}
        members.append(place.to_work() | own)
        weight += found.weight
        if weight >= target:
            groups.append((members, weight))
            members, weight = [], 0
    return [*groups, (members, weight)] if members else groups


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
    tasks += [Wanted(place.number, _path(owners, asker(place.number))) for place in run.places]
    hints = session.index(StoredStep(session.workspace), tasks, digest("stored", basis, json.dumps(files)))
    return [
        Shard(shard.key, shard.work | {"hints": [_path(hints, name) for name in names]}) for shard, names in planned
    ]


def _image_places(session: Session, spec: ChainSpec, run: ChainRun, basis: str) -> dict[str, Answers]:
    sources = image_sources(session.workspace)
    tasks: list[Place | ImageSource] = [*run.places, *(ImageSource(number) for number in range(len(sources)))]
    return session.index(ImagePlaces(session.workspace, spec), tasks, digest(basis, json.dumps(sources)))


def _path(answers: Mapping[str, Answers], name: str) -> str | None:
    found = answers.get(name)
    return None if found is None else found.path


def _name(path: str | None) -> str:
    """Name of a file of answers or a plan: it holds the digest of its content."""
    return "" if path is None else path.rsplit("/", 1)[-1]
