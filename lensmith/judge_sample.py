"""The sample of a run's triplets that is judged, with the images of their pages, read from the run's tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.image_places import ImageReader
from beam_jobs.shown_images import find_places
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from lensmith.report import RunTables
from publishing.judging.judgements import Judgements, parse_judgements, summary
from publishing.judging.sample import COLUMNS, JudgeSample, draw, nearest
from publishing.tombstones import Tombstones, read_tombstones
from schemas.errors import ConfigurationError
from schemas.storage import Folder

#: Folder of samples and of what was said of them, and the file with the summary, in an output folder.
JUDGEMENTS = "judgements"
SUMMARY = "judgements.json"


def draw_sample(workspace: Workspace, size: int, by: str, seed: int) -> JudgeSample:
    """A sample of the verified triplets, or of those that were written where none is verified. What was taken down is
    not in it. Raises ConfigurationError without any triplet."""
    table = "verified" if workspace.in_force("verify_triplets") else "triplets"
    gone = tombstones_of(workspace)
    drawn = draw(RunTables(workspace).rows(table, None, COLUMNS), size, by=by, seed=seed, gone=gone)
    if not drawn.items:
        raise ConfigurationError(f"{workspace.path} has no triplets to judge: let a run write some first.")
    pages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    columns = ("page_id", "image_id", "url", "text", "sketch")
    for row in _rows_of(workspace, "mine_pairs", "eligible", columns, {one.page_id for one in drawn.items}):
        pages[row["page_id"]].append(row)
    items = tuple(replace(one, distractors=nearest(one, pages[one.page_id], gone)) for one in drawn.items)
    return replace(drawn, items=items)


def captions_of(workspace: Workspace, image_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Label and caption of images, as the annotation has them: image id → row."""
    columns = ("image_id", "label", "caption")
    found = _rows_of(workspace, "annotate_images", "annotations", columns, set(image_ids))
    return {row["image_id"]: row for row in found}


def files_of(workspace: Workspace, image_ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Files of images by id, one in memory at a time, as they lie; what the run does not have is left out."""
    places = find_places(workspace, image_ids)
    reader = ImageReader(workspace, places)
    for image_id in sorted(places, key=lambda one: places[one]):
        yield from reader.fetch([image_id]).items()


def tombstones_of(workspace: Workspace) -> Tombstones:
    """What was taken down from the run's dataset."""
    return read_tombstones(*(Folder(f"{workspace.path.rstrip('/')}/{one}") for one in ("dataset", "_work")))


def _rows_of(
    workspace: Workspace, job: str, table: str, columns: Sequence[str], wanted: set[str]
) -> Iterator[dict[str, Any]]:
    """Rows whose first column has one of the wanted values, from all shards."""
    values = pa.array(sorted(wanted), pa.string())
    for manifest in workspace.manifests(job, workspace.in_force(job)):
        for batch in batches(workspace, manifest.files.get(table, ()), columns):
            yield from batch.filter(pc.is_in(batch.column(columns[0]), value_set=values)).to_pylist()


def keep_sample(workspace: Workspace, sample: JudgeSample) -> None:
    """Keep a sample, so that judgements of it can be read in."""
    _write(workspace, f"{JUDGEMENTS}/{sample.sample_id}/sample.json", sample.to_json())


def kept_sample(workspace: Workspace, sample_id: str, path: str) -> JudgeSample:
    """A sample that was kept. Raises ConfigurationError, which names the file `path` that asks for it."""
    name = f"{JUDGEMENTS}/{sample_id}/sample.json"
    if not workspace.folder.exists(name):
        raise ConfigurationError(
            f"{path} belongs to the sample {sample_id}, which {workspace.path} does not have: import it into the "
            "output folder whose sheet it is of."
        )
    return JudgeSample.from_json(workspace.folder.read_json(name))


def keep_judgements(workspace: Workspace, judged: Judgements) -> None:
    """Keep what one judge said; what the same judge said of the sample before is replaced."""
    _write(workspace, _judge_file(judged), judged.to_json())


def has_judgements(workspace: Workspace, judged: Judgements) -> bool:
    """Whether this judge's answers to the sample are there already."""
    return workspace.folder.exists(_judge_file(judged))


def write_summary(workspace: Workspace, sample: JudgeSample) -> dict[str, Any]:
    """Write `judgements.json` from all that was said of a sample, and return it."""
    name = f"{JUDGEMENTS}/{sample.sample_id}/judges"
    files = [f"{name}/{one}" for one in workspace.folder.list(name) if one.endswith(".json")]
    made = summary(sample, [parse_judgements(workspace.folder.read(one), one) for one in files])
    _write(workspace, SUMMARY, made)
    return made


def _judge_file(judged: Judgements) -> str:
    return f"{JUDGEMENTS}/{judged.sample_id}/judges/{judged.file_name}"


def _write(workspace: Workspace, name: str, data: Mapping[str, Any]) -> None:
    workspace.folder.replace(name, json.dumps(data, indent=1).encode())
