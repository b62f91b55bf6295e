"""What waits for a batch in a run, and where its answers go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from beam_jobs.chain_rows import ChainSpec
from beam_jobs.chain_run import Stores
from beam_jobs.tables import batches, rows
from beam_jobs.workspace import Manifest, Workspace
from lensmith.options import ASKING_STAGES
from lensmith.settings import Settings
from schemas.errors import ConfigurationError
from schemas.storage import Folder
from synthesis.chain import Link, make_chain

TABLE = "batch_requests"
#: Folder of the parts that were read in, in the store that a run writes to.
PARTS = "batch"


def settings_of_run(workspace: Workspace) -> Settings:
    """The settings of the last run. Raises ConfigurationError where there was none that can be read."""
    try:
        return Settings(**workspace.folder.read_json("run.json")["settings"])
    except (FileNotFoundError, KeyError, TypeError, ValidationError) as error:
        raise ConfigurationError(
            f"{workspace.path} has no run.json of this version of Lensmith: run `lensmith run` on it first."
        ) from error


def links_by_job(settings: Settings) -> dict[str, Link]:
    """The jobs that answer requests by their names, with the steps that they answer."""
    found: dict[str, Link] = {}
    for stage, config in zip(ASKING_STAGES, (settings.write_instructions, settings.verify_triplets), strict=True):
        spec = ChainSpec(stage, "", config)
        found |= {spec.job(link.name): link for link in make_chain(config).links}
    return found


def waiting_shards(workspace: Workspace) -> Iterator[tuple[str, Manifest]]:
    """The shards in force that have requests waiting for a batch, with their jobs."""
    for stage in ASKING_STAGES:
        for job in sorted(workspace.jobs_in_force(stage)):
            for manifest in workspace.manifests(job, workspace.in_force(job)):
                if manifest.files.get(TABLE):
                    yield job, manifest


def waiting_count(workspace: Workspace) -> int:
    """How many requests wait for a batch."""
    return sum(one.rows for _, manifest in waiting_shards(workspace) for one in manifest.files[TABLE])


def waiting_ids(workspace: Workspace) -> set[str]:
    """The ids of the requests that wait for a batch."""
    return {
        one
        for _, manifest in waiting_shards(workspace)
        for batch in batches(workspace, manifest.files[TABLE], ["request_id"])
        for one in batch.column(0).to_pylist()
    }


def waiting_rows(workspace: Workspace, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Rows of `batch_requests` of one shard."""
    return rows(workspace, manifest, TABLE)


def answered_ids(workspace: Workspace, stores: Stores, wanted: Iterable[str]) -> set[str]:
    """Which of these requests the stores of a run answer already."""
    left, found = set(wanted), set[str]()
    for path, name in stores.files(workspace.path) if left else ():
        with Folder(path).open(name) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            for batch in parquet.iter_batches(columns=["request_id"]):
                found |= left.intersection(batch.column(0).to_pylist())
    return found


def next_command(workspace: Workspace) -> str:
    """The command that takes up what was read in: the last run's, with its failed and deferred units again."""
    command = str(workspace.folder.read_json("run.json").get("command") or f"lensmith run --output {workspace.path}")
    if "--retry" in command:
        return command
    before, ends, beam = command.partition(" -- ")
    return f"{before} --retry failed{ends}{beam}"


def image_ids_of(found: Iterable[Mapping[str, Any]]) -> set[str]:
    """The images that requests show."""
    return {one for row in found for one in row["image_ids"] or ()}
