"""Job `verify_triplets`: triplets go along a chain of judges where there is one, then against the images of their
pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from beam_jobs.chain_plan import Stores
from beam_jobs.chain_rows import ChainSpec, Place, advanced
from beam_jobs.chain_run import ChainRun, run_chain
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.annotation import AnnotateConfig, load_models
from mining.sketches import sketches
from schemas.ids import canonical_json, digest
from schemas.settings import settings_digest
from synthesis.config import VerifyConfig, WriteConfig
from synthesis.verification.captions import write_captions
from synthesis.verification.chain_verdicts import judged_rows, judging_columns, said_of
from synthesis.verification.distractors import COLUMNS, Lookalikes
from synthesis.verification.pages import Verifying, fail_page, verify_page
from synthesis.verification.ranks import PageImages

VERSION = "3"
#: Settings that decide what follows from ranks and answers; those of the models decide the answers.
_DECIDING = ("chain", "verify", "ambiguous", "text_weight", "fail_below", "min_candidates", "alignment_edges")


def texts_of(workspace: Workspace, source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The texts of one shard of triplets that are judged, each with its triplet, distractors and written captions."""
    written = workspace.manifests("write_instructions", [source["triplets"]])[0]
    if not written.files.get("triplets"):
        return []
    lookalikes = _lookalikes(workspace, source["mined"])
    captions = _captions(workspace, written)
    anywhere = {one["image_id"]: one["text"] for page in captions.values() for found in page.values() for one in found}
    judged = []
    for triplet in rows(workspace, written, "triplets"):
        ends = (triplet["page_id"], triplet["query_image_id"], triplet["target_image_id"])
        here = {name: found[-1]["text"] for name, found in captions.get(triplet["page_id"], {}).items()}
        judged += judged_rows(triplet, lookalikes.of(*ends), anywhere | here, source["verify"])
    return [row | source["columns"] for row in judged]


@dataclass(frozen=True)
class VerifyJob:
    """Verifies the triplets of one shard by what its chain said, and with the text model that embedded the places'
    texts."""

    workspace: Workspace
    spec: ChainSpec
    plans: tuple[str, ...]
    config: VerifyConfig
    models: AnnotateConfig
    stage: str = "verify_triplets"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The text model runs in the child process that annotated."""
        arguments = (self, shard.key, writer.attempt, shard.work)
        writer.take(child("annotate").call("beam_jobs.verify_triplets:verify_in_child", *arguments))


def verify_in_child(
    job: VerifyJob, key: str, attempt: str, work: Mapping[str, Any], *, mark: Any, quarantine: Mapping[str, str]
) -> WrittenShard:
    """Triplets and images of a shard, page by page: rows of `verified` and `captions`."""
    workspace, models, source = job.workspace, job.models, work["source"]
    writer = ShardWriter(workspace, job.stage, key, attempt)
    written = workspace.manifests("write_instructions", [source["triplets"]])[0]
    mined = workspace.manifests("mine_pairs", [source["mined"]])[0]
    if not written.files.get("triplets"):
        return writer.close()
    encoder = load_models(models).texts
    said = said_of(advanced(workspace, job.spec, Place.of_work(work), job.plans)) if job.plans else {}
    # A model with one space for both gives texts and images that can be compared; the sketch of either is made alike.
    project = sketches if models.image_model == models.text_model else None
    verifying = Verifying(job.config, encoder, _lookalikes(workspace, source["mined"]), said, project)
    captions = _captions(workspace, written)
    # Both tables have the pages in the order in which they were mined.
    pages = groupby(rows(workspace, mined, "eligible"), key=_page)
    for page_id, found in groupby(rows(workspace, written, "triplets"), key=_page):
        triplets = list(found)
        images = next(list(placed) for name, placed in pages if name == page_id)
        if page_id in quarantine:
            fail_page(triplets, quarantine[page_id], writer)
            continue
        mark(page_id)
        page = PageImages.from_rows(images, encoder.dimension)
        verify_page(triplets, page, verifying, writer)
        edges = job.config.alignment_edges
        write_captions(triplets, captions.get(page_id, {}), page, encoder, project, edges, writer)
    return writer.close()


def run_verify(
    session: Session,
    mined: Sequence[Manifest],
    written: Sequence[Manifest],
    config: VerifyConfig,
    models: AnnotateConfig,
    writing: WriteConfig | None = None,
    spent: ChainRun | None = None,
) -> list[Manifest]:
    """Verify all triplets; a manifest for each shard of pairs, in the order of their plan.

    `writing`: whose stores, budgets and filters hold; `spent`: what writing has used of the budgets. Raises
    ConfigurationError where images would be shown to a model without eyes."""
    config.check_eyes()
    writing = writing or WriteConfig()
    spec = ChainSpec("verify_triplets", "beam_jobs.verify_triplets:texts_of", config)
    asked = {"verify": config.verify, "columns": judging_columns(config, writing.filters)}
    sources = [
        {"triplets": triplets.key, "mined": pairs.key, **asked} for pairs, triplets in zip(mined, written, strict=True)
    ]
    basis = digest("verified", basis_of(mined), basis_of(written), canonical_json(asked))
    run = run_chain(session, spec, sources, basis, _left(Stores.of(writing, session.workspace.path), spent))
    job = VerifyJob(session.workspace, spec, tuple(run.plans), config, models)
    deciding = config.model_dump(mode="json", include=set(_DECIDING))
    settings = (canonical_json(deciding), canonical_json(asked), settings_digest(models))
    shards = [
        Shard(
            session.shard_key(job.stage, VERSION, pairs.digest, triplets.digest, run.digest_of(number), *settings),
            run.places[number].to_work(),
        )
        for number, (pairs, triplets) in enumerate(zip(mined, written, strict=True))
    ]
    return session.shards(job, shards)


def _left(stores: Stores, spent: ChainRun | None) -> Stores:
    """The stores with what is left of the budgets."""
    if spent is None:
        return stores
    requests, cost = stores.max_requests, stores.max_cost
    return replace(
        stores,
        max_requests=None if requests is None else max(0, requests - spent.sent),
        max_cost=None if cost is None else max(0.0, cost - spent.cost),
    )


def _lookalikes(workspace: Workspace, mined: str) -> Lookalikes:
    manifest = workspace.manifests("mine_pairs", [mined])[0]
    return Lookalikes(rows(workspace, manifest, "eligible", COLUMNS))


def _captions(workspace: Workspace, written: Manifest) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Written captions by page and image, in the order in which their tasks stand."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows(workspace, written, "written_captions"):
        found[row["page_id"]][row["image_id"]].append(row)
    return found


def _page(row: Mapping[str, Any]) -> str:
    return str(row["page_id"])
