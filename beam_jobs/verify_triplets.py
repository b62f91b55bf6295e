"""Job `verify_triplets`: the triplets of one shard against the images of their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.annotation import AnnotateConfig, load_models
from schemas.settings import settings_digest
from synthesis.config import VerifyConfig
from synthesis.verification import PageImages, fail_page, verify_page

VERSION = "2"


@dataclass(frozen=True)
class VerifyJob:
    """Verifies the triplets of one shard with the text model that embedded the places' texts."""

    workspace: Workspace
    config: VerifyConfig
    models: AnnotateConfig
    stage: str = "verify_triplets"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The text model runs in the child process that annotated."""
        arguments = (self.workspace.path, self.stage, shard.key, writer.attempt, shard.work, self.config, self.models)
        writer.take(child("annotate").call("beam_jobs.verify_triplets:verify_in_child", *arguments))


def verify_in_child(
    path: str,
    stage: str,
    key: str,
    attempt: str,
    work: Mapping[str, Any],
    config: VerifyConfig,
    models: AnnotateConfig,
    *,
    mark: Any,
    quarantine: Mapping[str, str],
) -> WrittenShard:
    """Triplets and images of a shard, page by page."""
    workspace = Workspace(path)
    writer = ShardWriter(workspace, stage, key, attempt)
    written = workspace.manifests("write_instructions", [work["triplets"]])[0]
    mined = workspace.manifests("mine_pairs", [work["mined"]])[0]
    if not written.files.get("triplets"):
        return writer.close()
    encoder = load_models(models).texts
    # Both tables have the pages in the order in which they were mined.
    pages = groupby(rows(workspace, mined, "eligible"), key=_page)
    for page_id, triplets in groupby(rows(workspace, written, "triplets"), key=_page):
        images = next(list(found) for name, found in pages if name == page_id)
        if page_id in quarantine:
            fail_page(list(triplets), quarantine[page_id], writer)
            continue
        mark(page_id)
        page = PageImages.from_rows(images, encoder.dimension)
        verify_page(list(triplets), page, encoder, config, writer)
    return writer.close()


def _page(row: Mapping[str, Any]) -> str:
    return str(row["page_id"])


def run_verify(
    session: Session,
    mined: Sequence[Manifest],
    written: Sequence[Manifest],
    config: VerifyConfig,
    models: AnnotateConfig,
) -> list[Manifest]:
    """Verify all triplets; a manifest for each shard of pairs, in the order of their plan."""
    job = VerifyJob(session.workspace, config, models)
    settings = (settings_digest(config), settings_digest(models))
    shards = [
        Shard(
            session.shard_key(job.stage, VERSION, pairs.digest, triplets.digest, *settings),
            {"triplets": triplets.key, "mined": pairs.key},
        )
        for pairs, triplets in zip(mined, written, strict=True)
    ]
    return session.shards(job, shards)
