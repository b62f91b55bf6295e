"""Job `mine_pairs`: the pages of one extraction shard to pairs, once the index steps have told of the whole crawl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from beam_jobs.annotate_images import Annotated
from beam_jobs.archived_robots import ArchivedRobots
from beam_jobs.corpus.images import PAGES_JOB
from beam_jobs.corpus.run import run_corpus
from beam_jobs.index_step import Answers, answer_map
from beam_jobs.locate_images import Located, LocateTask
from beam_jobs.mining_index import (
    FactsTask,
    ImageFactsStep,
    KnownImages,
    MineReader,
    PageSetsStep,
    unpack_sketches,
)
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.annotation import AnnotateConfig
from mining.eligibility import content_images, eligible_places
from mining.mine import (
    PageInput,
    admit_page,
    joined_signals,
    mine_page,
    pairable_set,
    reject_duplicate_capture,
    site_pools,
    sure_label,
)
from mining.mine_config import CORPUS_FIELDS, PAGE_MINER, MineConfig
from mining.miners.make import page_miner
from mining.page_sets import band_keys
from mining.pages.addresses import match_key
from mining.places import EligibleImage, ImageFacts, PageCounts, PageRecord, PlaceRecord
from mining.texts import page_texts
from schemas.ids import canonical_json, digest, text_id
from schemas.outcomes import IgnoredOutcomes, Outcomes
from schemas.settings import deciding_fields, settings_digest

VERSION = "4"


@dataclass(frozen=True)
class MineTask:
    """One extraction shard with everything that was resolved for it."""

    number: int
    source: tuple[str, str]
    texts: tuple[str, str]
    located: str | None
    known: Answers


class ShardPages:
    """The pages of one extraction shard with the facts of their images."""

    def __init__(self, workspace: Workspace, task: MineTask, config: MineConfig, agent: str) -> None:
        self._workspace, self._task, self._config = workspace, task, config
        self._manifest = workspace.manifests(task.source[0], [task.source[1]])[0]
        self._known = KnownImages.read(workspace, task.known)
        self._located = {url: Located.unpack(data) for url, data in answer_map(workspace, task.located).items()}
        #: What the robots.txt that the archives hold say; without one, all is allowed.
        self._robots = ArchivedRobots(workspace, self._known.robots, agent)

    def inputs(self, outcomes: Outcomes) -> Iterator[PageInput]:
        """The pages that are this shard's to mine, as they stand in its table; others are reported."""
        vectors = self._embeddings()
        places: dict[str, list[dict[str, Any]]] = {}
        for row in rows(self._workspace, self._manifest, "page_images"):
            places.setdefault(row["page_id"], []).append(row)
        seen: set[str] = set()
        for row in rows(self._workspace, self._manifest, "pages"):
            page = PageRecord.from_row(row)
            if page.page_id in seen or page.page_id not in self._known.own_pages:
                reject_duplicate_capture(page, outcomes)
                continue
            seen.add(page.page_id)
            if not self._robots.allows(page.url):
                page = replace(page, opt_out=_with_robots(page.opt_out))
            shown = places.get(page.page_id, [])
            records = [self._place(row, text, vectors) for row, text in zip(shown, page_texts(shown), strict=True)]
            known = [(one.image_id, one) for one in records if one.image_id in self._known.facts]
            facts = {image_id: self._facts(one) for image_id, one in known if image_id is not None}
            yield PageInput(page, records, facts)

    def content(self, one: PageInput, outcomes: Outcomes) -> list[EligibleImage]:
        """The images of a page that enter pairing."""
        eligible = eligible_places(one.page, one.places, one.facts, self._config, outcomes)
        site = one.page.site
        counts = PageCounts(
            self._known.site_pages.get(site, 1),
            {image.image_id: self._known.image_pages.get((site, image.image_id), 1) for image in eligible},
            _named_by(one.places, self._located),
        )
        return content_images(one.page, eligible, counts, self._config, outcomes)

    def _place(self, row: Mapping[str, Any], text: str | None, vectors: Mapping[str, Any]) -> PlaceRecord:
        located = self._located.get(match_key(row["url"]))
        vector = vectors.get(text_id(text)) if text else None
        return PlaceRecord.from_row(row, located.image_id if located else None, text, vector)

    def _facts(self, place: PlaceRecord) -> ImageFacts:
        assert place.image_id is not None
        facts = self._known.facts[place.image_id]
        return facts if self._robots.allows(place.url) else replace(facts, opt_out=_with_robots(facts.opt_out))

    def _embeddings(self) -> dict[str, Any]:
        manifest = self._workspace.manifests(self._task.texts[0], [self._task.texts[1]])[0]
        return {
            row["text_id"]: np.asarray(row["embedding"], np.float16).astype(np.float32)
            for row in rows(self._workspace, manifest, "texts", ["text_id", "embedding"])
        }


@dataclass(frozen=True)
class MineJob(MineReader):
    """Mines the pages of one extraction shard."""

    workspace: Workspace
    config: MineConfig
    agent: str
    stage: str = "mine_pairs"

    def page_sets(self, task: object) -> tuple[int, dict[str, set[bytes]]]:
        """Buckets of the pages that may give pairs."""
        assert isinstance(task, MineTask)
        pages = ShardPages(self.workspace, task, self.config, self.agent)
        ignored = IgnoredOutcomes()
        buckets: dict[str, set[bytes]] = {}
        for one in pages.inputs(ignored):
            own = pairable_set(one.page, pages.content(one, ignored), self.config)
            if own is not None:
                for key in band_keys(own):
                    buckets.setdefault(key, set()).add(own.to_bytes())
        return task.number, buckets

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `pairs`, and of `eligible` for the pages that were admitted."""
        task: MineTask = shard.work["task"]
        pages = ShardPages(self.workspace, task, self.config, self.agent)
        sets = answer_map(self.workspace, shard.work["sets"])
        admitted: list[tuple[PageRecord, list[EligibleImage]]] = []
        for one in pages.inputs(writer):
            images = pages.content(one, writer)
            own = pairable_set(one.page, images, self.config)
            keys = band_keys(own) if own is not None else []
            others = {sketch for key in keys for sketch in unpack_sketches(sets.get(key, b""))}
            if admit_page(one.page, images, others, self.config, writer):
                admitted.append((one.page, images))
        pools = site_pools(((page.site, images) for page, images in admitted), self.config)
        miner = page_miner(self.config)
        for page, images in sorted(admitted, key=lambda one: one[0].page_id):
            pairs = 0
            if miner is not None:
                pairs = mine_page(page, images, pools.get(page.site), miner, self.config, writer)
            if pairs or self.config.whole_corpus:
                for image in images:
                    writer.row("eligible", _eligible_row(page, image, self.config))


def run_mine(
    session: Session,
    extracted: Sequence[Manifest],
    fetched: Sequence[Manifest],
    annotated: Annotated,
    config: MineConfig,
    agent: str,
    models: AnnotateConfig | None = None,
) -> list[Manifest]:
    """Mine all pages; a manifest for each extraction shard, in the order of their plan; where pairs are decided over
    the whole corpus, one for each source of candidates.

    `models`: what annotated."""
    workspace = session.workspace
    basis = basis_of([*extracted, *fetched, *annotated.images])
    numbered = [LocateTask(one.stage, one.key, number) for number, one in enumerate(extracted)]
    located = [annotated.located.get(asker(number)) for number in range(len(extracted))]
    facts_tasks = [
        FactsTask("places", one, place.path if place else None) for one, place in zip(numbered, located, strict=True)
    ]
    facts_tasks += [FactsTask("images", LocateTask(one.stage, one.key)) for one in (*extracted, *fetched)]
    facts_tasks += [FactsTask("annotations", LocateTask(one.stage, one.key)) for one in annotated.images]
    known = session.index(ImageFactsStep(workspace), facts_tasks, basis)
    tasks = [
        MineTask(
            number,
            (source.stage, source.key),
            (texts.stage, texts.key),
            place.path if place else None,
            known.get(asker(number), Answers(None, "none")),
        )
        for number, (source, texts, place) in enumerate(zip(extracted, annotated.texts, located, strict=True))
    ]
    settings = digest(_pages_digest(config), agent)
    job = MineJob(workspace, config, agent, PAGES_JOB if config.whole_corpus else "mine_pairs")
    sets = session.index(
        PageSetsStep(workspace, job), tasks, basis_of([*extracted, *annotated.texts], basis, settings, VERSION)
    )
    shards = []
    for task, source, texts in zip(tasks, extracted, annotated.texts, strict=True):
        shared = sets.get(asker(task.number), Answers(None, "none"))
        place = located[task.number]
        parts = (source.digest, texts.digest, place.digest if place else "none", task.known.digest, shared.digest)
        key = session.shard_key(job.stage, VERSION, *parts, settings)
        shards.append(Shard(key, {"task": task, "sets": shared.path}))
    pages = session.shards(job, shards)
    if not config.whole_corpus:
        session.let_go("mine_pairs", ())
        return pages
    mined = run_corpus(session, extracted, pages, config, models or AnnotateConfig())
    session.let_go("mine_pairs", [name for name in session.in_force if name.startswith("mine_pairs.")])
    return mined


def _pages_digest(config: MineConfig) -> str:
    """Digest of the settings that decide what becomes of single pages."""
    if not config.whole_corpus:
        return settings_digest(config)
    own = {name: value for name, value in deciding_fields(config).items() if name not in CORPUS_FIELDS}
    return digest("pages", canonical_json(own), str(PAGE_MINER in config.miners))


def _named_by(places: Sequence[PlaceRecord], located: Mapping[str, Located]) -> dict[str, int]:
    found = ((place.url, located.get(match_key(place.url))) for place in places)
    return {url: one.named_by for url, one in found if one is not None}


def _with_robots(opt_out: str | None) -> str:
    return ",".join(sorted({*(opt_out or "").split(","), "robots"} - {""}))


def _eligible_row(page: PageRecord, image: EligibleImage, config: MineConfig) -> dict[str, Any]:
    vector = None if image.embedding is None else image.embedding.astype(np.float16)
    return {
        "page_id": page.page_id,
        "page_url": page.url,
        "site": page.site,
        "image_id": image.image_id,
        "position": image.position,
        "url": image.url,
        "text": image.text,
        "embedding": vector,
        "sketch": image.facts.sketch,
        "phash": f"{image.facts.phash:016x}",
        "width": image.facts.width,
        "height": image.facts.height,
        "label": sure_label(image.facts, config),
        "generated": image.facts.generated,
        "own_page_id": None,
        "page_title": page.title,
        "language": page.language,
        "license": page.license,
        "opt_out": joined_signals(page.opt_out, image.facts.opt_out),
        "crawl_date": page.crawl_date,
    }
