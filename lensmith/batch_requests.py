"""What waits for a batch in a run, and where its answers go."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from beam_jobs.chain_plan import Stores
from beam_jobs.chain_rows import ChainSpec
from beam_jobs.tables import batches, rows
from beam_jobs.workspace import Manifest, Workspace
from lensmith.options import ASKING_STAGES, INPUT_OPTIONS
from lensmith.settings import STAGES, Settings
from schemas.errors import ConfigurationError
from schemas.storage import Folder
from synthesis.chain import Link, make_chain
from synthesis.store import answered_requests

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
        found |= left.intersection(answered_requests(Folder(path), name))
    return found


def next_command(workspace: Workspace) -> str:
    """The command that takes up what was read in: the last run's from where models are asked, with what failed or was
    deferred there; what stands before is left as it is."""
    try:
        command = str(workspace.folder.read_json("run.json")["command"])
    except (FileNotFoundError, KeyError):
        command = f"lensmith run --output {shlex.quote(workspace.path)}"
    own, ends, beam = command.partition(" -- ")
    words = shlex.split(own)
    if words[1:2] == ["run"]:
        words = [words[0], ASKING_STAGES[0].replace("_", "-"), *_without_inputs(words[2:])]
        if not any(one.split("=")[0] == "--until" for one in words):
            words += ["--until", STAGES[-1].replace("_", "-")]
    if not any(one.split("=")[0] == "--retry" for one in words):
        words += ["--retry", "failed"]
    return f"{shlex.join(words)}{ends}{beam}"


def _without_inputs(words: Sequence[str]) -> list[str]:
    """Options without those that say which archives are read."""
    kept: list[str] = []
    names = [f"--{name}" for name in INPUT_OPTIONS]
    left = iter(words)
    for one in left:
        if one in names:
            next(left, None)
        elif one.split("=")[0] not in names:
            kept.append(one)
    return kept


def image_ids_of(found: Iterable[Mapping[str, Any]]) -> set[str]:
    """The images that requests show."""
    return {one for row in found for one in row["image_ids"] or ()}
