"""The stages in their order: what each is given, and what it hands to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from beam_jobs.annotate_images import Annotated, run_annotate
from beam_jobs.chain_run import ChainRun
from beam_jobs.corpus.guided import GuideModel
from beam_jobs.corpus.rounds import counting_rounds
from beam_jobs.extract_pages import run_extract
from beam_jobs.fetch_images import run_fetch
from beam_jobs.mine_pairs import run_mine
from beam_jobs.publish_dataset import Publication, run_publish
from beam_jobs.session import Session
from beam_jobs.verify_triplets import run_verify
from beam_jobs.workspace import Manifest
from beam_jobs.write_instructions import run_write
from lensmith.funnel import funnel
from lensmith.output_folder import InputPlan
from lensmith.provenance import facts
from lensmith.settings import Settings
from publishing.description import Description


@dataclass
class Results:
    """What the stages of a run have made so far, as manifests in force."""

    plan: InputPlan
    buckets: int
    #: The model whose mistakes are mined.
    guide: GuideModel | None = None
    extracted: Sequence[Manifest] = ()
    fetched: Sequence[Manifest] = ()
    annotated: Annotated = field(default_factory=lambda: Annotated((), (), {}))
    mined: Sequence[Manifest] = ()
    written: Sequence[Manifest] = ()
    writing: ChainRun | None = None
    verified: Sequence[Manifest] = ()
    dataset: Description | None = None


def run_stage(stage: str, session: Session, settings: Settings, results: Results, preset: str) -> None:
    """Run one stage on what the ones before it made."""
    if stage == "extract_pages":
        results.extracted = run_extract(session, results.plan.shards, settings.extract_pages)
    elif stage == "fetch_images":
        results.fetched = run_fetch(session, results.extracted, results.buckets, settings.fetch_images)
    elif stage == "annotate_images":
        results.annotated = run_annotate(session, results.extracted, results.fetched, settings.annotate_images)
    elif stage == "mine_pairs":
        results.mined = run_mine(
            session,
            results.extracted,
            results.fetched,
            results.annotated,
            settings.mine_pairs,
            settings.extract_pages.agent,
            settings.annotate_images,
            results.guide,
        )
    elif stage == "write_instructions":
        results.written, results.writing = run_write(
            session, results.mined, settings.write_instructions, settings.annotate_images
        )
    elif stage == "verify_triplets":
        results.verified = run_verify(
            session,
            results.mined,
            results.written,
            settings.verify_triplets,
            settings.annotate_images,
            settings.write_instructions,
            results.writing,
        )
    elif stage == "publish_dataset":
        about = facts(
            settings, results.plan, preset, counting_rounds(session.workspace, settings.mine_pairs.hard_rounds)
        )
        publication = Publication(results.plan.owner, about, lambda: funnel(session.workspace))
        results.dataset = run_publish(
            session,
            results.mined,
            results.verified,
            settings.publish_dataset,
            publication,
            settings.mine_pairs.decontaminate,
        )
