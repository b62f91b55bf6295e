"""Job `mine_pairs`: the pages of one extraction shard to pairs, once the index steps have told of the whole crawl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from beam_jobs.annotate_images import Annotated
from beam_jobs.corpus.guided import GuideModel
from beam_jobs.corpus.images import PAGES_JOB
from beam_jobs.corpus.run import run_corpus
from beam_jobs.index_step import Answers, answer_map
from beam_jobs.locate_images import LocateTask
from beam_jobs.mining_index import FactsTask, ImageFactsStep, MineReader, PageSetsStep, unpack_sketches
from beam_jobs.removed_images import removed_images
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_pages import MineTask, ShardPages
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.annotation import AnnotateConfig
from mining.mine import admit_page, joined_signals, mine_page, pairable_set, site_pools, sure_label
from mining.mine_config import CORPUS_FIELDS, PAGE_MINER, MineConfig, check_captions
from mining.miners.make import page_miner, searched_sketches
from mining.page_sets import band_keys
from mining.places import EligibleImage, PageRecord
from schemas.ids import canonical_json, digest
from schemas.outcomes import IgnoredOutcomes
from schemas.settings import deciding_fields, settings_digest

VERSION = "5"


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
    guide: GuideModel | None = None,
) -> list[Manifest]:
    """Mine all pages; a manifest for each extraction shard, in the order of their plan; where pairs are decided over
    the whole corpus, one for each source of candidates.

    `models`: what annotated; `guide`: the model of a round of `hard_rounds`. Raises ConfigurationError where miners
    are to read what no model wrote."""
    models = models or AnnotateConfig()
    check_captions(config, models)
    workspace = session.workspace
    basis = basis_of([*extracted, *fetched, *annotated.images])
    numbered = [LocateTask(one.stage, one.key, number) for number, one in enumerate(extracted)]
    located = [annotated.located.get(asker(number)) for number in range(len(extracted))]
    facts_tasks = [
        FactsTask("places", one, place.path if place else None) for one, place in zip(numbered, located, strict=True)
    ]
    facts_tasks += [FactsTask("images", LocateTask(one.stage, one.key)) for one in (*extracted, *fetched)]
    facts_tasks += [FactsTask("annotations", LocateTask(one.stage, one.key)) for one in annotated.images]

    settings = digest(_pages_digest(config), agent)

    def resolved(told: Sequence[FactsTask], key: str, sketches: tuple[str, ...] = ()) -> list[MineTask]:
        key = digest(key, *sketches) if sketches else key
        facts = session.index(ImageFactsStep(workspace, sketches), told, key)
        return [
            MineTask(
                number,
                (source.stage, source.key),
                (texts.stage, texts.key),
                place.path if place else None,
                facts.get(asker(number), Answers(None, "none")),
            )
            for number, (source, texts, place) in enumerate(zip(extracted, annotated.texts, located, strict=True))
        ]

    everything = partial(resolved, facts_tasks, basis)
    models = models or AnnotateConfig()
    made_by = settings_digest(models)
    removed = removed_images(session, annotated.images, everything, config, agent, settings, made_by)
    if removed:
        told = canonical_json([[one.kind, one.source.job, one.source.key, one.answers] for one in removed])
        basis = digest(basis, told)
    tasks = resolved([*facts_tasks, *removed], basis, searched_sketches(config, models))
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
    mined = session.shards(job, shards)
    if config.whole_corpus:
        mined = run_corpus(session, extracted, mined, config, models, guide)
    session.let_go("mine_pairs", [name for name in session.in_force if name.startswith("mine_pairs.")])
    return mined


def _pages_digest(config: MineConfig) -> str:
    """Digest of the settings that decide what becomes of single pages."""
    if not config.whole_corpus:
        return settings_digest(config)
    own = {name: value for name, value in deciding_fields(config).items() if name not in CORPUS_FIELDS}
    return digest("pages", canonical_json(own), str(PAGE_MINER in config.miners))


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
        "caption": image.facts.caption,
        "pattern_sketch": image.facts.pattern_sketch,
        "caption_sketch": image.facts.caption_sketch,
    }
