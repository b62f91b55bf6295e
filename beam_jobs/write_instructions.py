"""Job `write_instructions`: the rows of `pairs` go along the chain of tasks, and become triplets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.chain_plan import Stores
from beam_jobs.chain_rows import ChainSpec, Place, advanced
from beam_jobs.chain_run import ChainRun, run_chain
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.annotation import AnnotateConfig
from schemas.ids import canonical_json, digest
from schemas.settings import deciding_fields
from synthesis.config import WriteConfig
from synthesis.writing import write_image_texts, write_triplets

VERSION = "3"


def pairs_of(workspace: Workspace, source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pairs of one shard of `mine_pairs`."""
    manifest = workspace.manifests(source["job"], [source["key"]])[0]
    return list(rows(workspace, manifest, "pairs"))


@dataclass(frozen=True)
class TripletsJob:
    """Pairs and answers of one shard to triplets; no model is called."""

    workspace: Workspace
    spec: ChainSpec
    plans: tuple[str, ...]
    config: WriteConfig
    stage: str = "write_instructions"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `triplets`, and what was written of images alone."""
        work, chain = shard.work, self.spec.chain
        found = advanced(self.workspace, self.spec, Place.of_work(work), self.plans, writer, chain)
        for task, _ in chain.tasks:
            found.write(task, writer)
        write_triplets(found, self.config.filters, writer)
        write_image_texts(found, chain, writer)


def run_write(
    session: Session, mined: Sequence[Manifest], config: WriteConfig, models: AnnotateConfig | None = None
) -> tuple[list[Manifest], ChainRun]:
    """Write texts for all pairs; a manifest for each shard of pairs, in the order of their plan. `models`: the run's
    encoders, by which the best of several captions is chosen."""
    spec = ChainSpec("write_instructions", "beam_jobs.write_instructions:pairs_of", config)
    sources = [{"job": one.stage, "key": one.key} for one in mined]
    run = run_chain(session, spec, sources, basis_of(mined), Stores.of(config, session.workspace.path), models)
    job = TripletsJob(session.workspace, spec, tuple(run.plans), config)
    # Those of tasks that ask stand in their requests.
    asking_nothing = {task.name: deciding_fields(one) for task, one in spec.chain.tasks if not task.steps}
    filters = canonical_json(config.filters.model_dump(mode="json"))
    settings = digest("chain", *config.chain, filters, canonical_json(asking_nothing))
    shards = [
        Shard(
            session.shard_key(job.stage, VERSION, one.digest, run.digest_of(number), settings),
            run.places[number].to_work(),
        )
        for number, one in enumerate(mined)
    ]
    return session.shards(job, shards), run
