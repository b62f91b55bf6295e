"""Job `mine_pairs.decontaminate`: which images of a shard of `annotations` stand in a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches
from beam_jobs.workspace import Manifest, Workspace
from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.file_format import image_model_of
from mining.decontamination.fingerprints import Fingerprints
from mining.decontamination.read import absolute_files
from schemas.settings import settings_digest

#: Version of what this job writes: raised when equal input gives other rows.
VERSION = "1"
#: Why an image is rejected; the benchmark stands in the detail.
REASON = "in_benchmark"
_COLUMNS = ("image_id", "phash", "sketch", "models")


@dataclass(frozen=True)
class DecontaminateJob:
    """Compares the images of one shard of annotations with the fingerprints of benchmarks."""

    workspace: Workspace
    config: DecontaminationConfig
    stage: str = "mine_pairs.decontaminate"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `matches`, sorted by image; unit `image`, rejected as `in_benchmark`."""
        manifest = self.workspace.manifests(shard.work["job"], [shard.work["key"]])[0]
        ids, hashes, sketches = [], [], []
        model = None
        for batch in batches(self.workspace, manifest.files.get("annotations", ()), _COLUMNS):
            ids += batch.column(0).to_pylist()
            hashes += [int(one, 16) for one in batch.column(1).to_pylist()]
            sketches += batch.column(2).to_pylist()
            model = model or image_model_of(batch.column(3)[0].as_py())
        writer.entered("image", len(ids))
        fingerprints = Fingerprints.open(self.config, model)
        found = fingerprints.match_images(np.array(hashes, np.uint64), sketches)
        for image_id, match in sorted(zip(ids, found, strict=True), key=lambda one: one[0]):
            if match is None:
                writer.kept("image")
                continue
            row = {"image_id": image_id, "benchmark": match.benchmark, "how": match.how, "detail": match.detail}
            writer.row("matches", row)
            writer.rejected("image", REASON, id=image_id, detail=f"{match.how}: {match.detail}")


def run_decontaminate(
    session: Session, annotated: Sequence[Manifest], config: DecontaminationConfig, digests_of_files: Sequence[str]
) -> list[Manifest]:
    """Compare all annotated images with the benchmarks; a manifest for each shard of annotations, in their order.

    `digests_of_files`: hex digests of the files that `config` names, by which a changed file is seen. Raises
    ConfigurationError before any work where a file cannot be used.
    """
    workspace = session.workspace
    config = absolute_files(config)
    Fingerprints.open(config, _image_model(workspace, annotated))
    job = DecontaminateJob(workspace, config)
    parts = (VERSION, settings_digest(config), *digests_of_files)
    shards = [
        Shard(session.shard_key(job.stage, *parts, one.digest), {"job": one.stage, "key": one.key}) for one in annotated
    ]
    return session.shards(job, shards)


def _image_model(workspace: Workspace, annotated: Sequence[Manifest]) -> str | None:
    """The model that looked at the images, as the first row of annotations has it; None where there is none."""
    for manifest in annotated:
        for batch in batches(workspace, manifest.files.get("annotations", ()), ("models",), rows=1):
            return image_model_of(batch.column(0)[0].as_py())
    return None
