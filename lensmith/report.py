"""Reads a run's tables for its report. Of a large run a sample of shards is read, chosen by the hash of their keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from beam_jobs.corpus.search import JoinJob
from beam_jobs.corpus.search_plan import RecallJob
from beam_jobs.image_places import IMAGE_JOBS
from beam_jobs.tables import batches, rows_at
from beam_jobs.workspace import DataFile, Manifest, Workspace
from lensmith.funnel import funnel, jobs_of
from publishing.report.collect import collect
from publishing.report.render import render
from publishing.report.sampling import sample
from publishing.tombstones import read_tombstones
from schemas.storage import Folder
from schemas.tables import TABLES

#: Shards of a job that are read.
_SHARDS = 64
_JOBS = {
    "pages": ("extract_pages", "extract_pages.revisits"),
    "eligible": ("mine_pairs",),
    "pairs": ("mine_pairs",),
    "triplets": ("write_instructions",),
    "verified": ("verify_triplets",),
    "assigned": ("publish_dataset",),
}
#: Tables of triplets, the latest first.
_TRIPLETS = ("assigned", "verified", "triplets")


def report(workspace: Workspace) -> str:
    """Write `report.html` and return its path. What was taken down from the dataset is not shown."""
    tables = RunTables(workspace)
    page = collect(
        _with_take_downs(funnel(workspace), tables.json("dataset/funnel.json")),
        tables.json("run.json") or {},
        tables.rows,
        triplet_table=next((one for one in _TRIPLETS if workspace.in_force(_JOBS[one][0])), _TRIPLETS[-1]),
        tombstones=read_tombstones(*(Folder(f"{workspace.path.rstrip('/')}/{one}") for one in ("dataset", "_work"))),
        scores=tables.json("scores.json"),
        judgements=tables.json("judgements.json"),
        sampled=tables.sampled,
        search=searched(workspace),
    )
    workspace.folder.replace("report.html", render(page, tables.by_id, tables.by_url))
    return f"{workspace.path.rstrip('/')}/report.html"


def searched(workspace: Workspace) -> str:
    """How neighbours were searched, in a sentence; none where no miner asked for them."""
    if not workspace.in_force(JoinJob.stage):
        return ""
    measured = workspace.in_force(RecallJob.stage)
    if not measured:
        return "neighbours were searched exactly"
    notes = workspace.manifests(RecallJob.stage, measured)[0].notes
    views = (f"{view} {found['recall']:.3f} ({found['images']} images)" for view, found in sorted(notes.items()))
    return f"neighbours were searched approximately; recall against an exact search: {', '.join(views)}"


def _with_take_downs(counted: dict[str, Any], published: dict[str, Any] | None) -> dict[str, Any]:
    """The run's funnel with the take-downs that the dataset notes."""
    entries = [one for one in (published or {"stages": []})["stages"] if one["stage"] == "take_down"]
    return {**counted, "stages": [*counted["stages"], *entries]}


class RunTables:
    """Tables, files and images of a run, of at most 64 shards of each job."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def sampled(self) -> bool:
        """Whether a job has more shards than are read."""
        jobs = {job for names in _JOBS.values() for job in names}
        return any(len(self._workspace.in_force(job)) > _SHARDS for job in jobs)

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the output folder, None if it is not there."""
        try:
            data: dict[str, Any] = self._workspace.folder.read_json(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return data

    def rows(self, table: str, stage: str | None, columns: Sequence[str]) -> Iterable[Mapping[str, Any]]:
        """Rows of a table from at most 64 shards of each job."""
        jobs: Sequence[str] = jobs_of(self._workspace, stage) if stage is not None else _JOBS[table]
        held = [one for one in columns if one in TABLES[table].schema.names]
        for manifest in self._manifests(jobs):
            for batch in batches(self._workspace, manifest.files.get(table, ()), held):
                yield from batch.to_pylist()

    def by_id(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Files of images by id, one in memory at a time."""
        return self._images("image_id", set(ids))

    def by_url(self, urls: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Files of images by address, one in memory at a time."""
        return self._images("url", set(urls))

    def _images(self, column: str, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
        for manifest in self._manifests(IMAGE_JOBS):
            for file in manifest.files.get("images", ()):
                if not wanted:
                    return
                numbers = self._numbers(file, column, wanted)
                for number, data in rows_at(self._workspace, file, list(numbers), ["bytes"]) if numbers else ():
                    yield numbers[number], data["bytes"]
                wanted -= set(numbers.values())

    def _numbers(self, file: DataFile, column: str, wanted: set[str]) -> dict[int, str]:
        """Row number → value for the first row of each value that is wanted."""
        numbers: dict[str, int] = {}
        row = 0
        for batch in batches(self._workspace, [file], [column]):
            for value in batch.column(0).to_pylist():
                if value in wanted:
                    numbers.setdefault(value, row)
                row += 1
        return {row: value for value, row in numbers.items()}

    def _manifests(self, jobs: Sequence[str]) -> list[Manifest]:
        found = []
        for job in jobs:
            keys = self._workspace.in_force(job)
            chosen = set(sample(keys, _SHARDS, str)) if len(keys) > _SHARDS else set(keys)
            found += self._workspace.manifests(job, [key for key in keys if key in chosen])
        return found


def write_scores(workspace: Workspace, about: str, metrics: Sequence[str], scored: Mapping[str, Any]) -> None:
    """Keep an evaluation's scores for the report: name of a model → its metrics."""
    data = {"about": about, "metrics": list(metrics), "rows": [{"name": n, "metrics": m} for n, m in scored.items()]}
    workspace.folder.replace("scores.json", json.dumps(data, indent=1).encode())
