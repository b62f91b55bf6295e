"""Reads a run's tables for its report. Of a large run a sample of shards is read, chosen by the hash of their keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from beam_jobs.image_places import IMAGE_JOBS
from beam_jobs.tables import batches, rows_at
from beam_jobs.workspace import DataFile, Manifest, Workspace
from lensmith.funnel import funnel, jobs_of
from lensmith.settings import STAGES
from publishing.report.collect import collect
from publishing.report.render import render
from publishing.report.sampling import sample

#: Shards of a job that are read.
_SHARDS = 64
_JOBS = {
    "pages": ("extract_pages", "extract_pages.revisits"),
    "eligible": ("mine_pairs",),
    "pairs": ("mine_pairs",),
    "verified": ("verify_triplets",),
}


def report(workspace: Workspace) -> str:
    """Write `report.html` and return its path."""
    tables = _Tables(workspace)
    page = collect(funnel(workspace), tables.json("run.json") or {}, tables.rows, tables.json("scores.json"))
    workspace.folder.replace("report.html", render(page, tables.by_id, tables.by_url))
    return f"{workspace.path.rstrip('/')}/report.html"


class _Tables:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the output folder, None if it is not there."""
        try:
            data: dict[str, Any] = self._workspace.folder.read_json(name)
        except FileNotFoundError:
            return None
        return data

    def rows(self, table: str, stage: str | None, columns: Sequence[str]) -> Iterable[Mapping[str, Any]]:
        """Rows of a table from at most 64 shards of each job."""
        jobs: Sequence[str] = jobs_of(self._workspace, stage) if stage is not None else _JOBS[table]
        for manifest in self._manifests(jobs):
            for batch in batches(self._workspace, manifest.files.get(table, ()), columns):
                yield from batch.to_pylist()

    def by_id(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Files of images by id."""
        return self._images("image_id", set(ids))

    def by_url(self, urls: Sequence[str]) -> dict[str, bytes]:
        """Files of images by address."""
        return self._images("url", set(urls))

    def _images(self, column: str, wanted: set[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        if not wanted:
            return found
        for job in IMAGE_JOBS:
            for manifest in self._workspace.manifests(job, self._workspace.in_force(job)):
                for file in manifest.files.get("images", ()):
                    self._images_of(file, column, wanted, found)
        return found

    def _images_of(self, file: DataFile, column: str, wanted: set[str], found: dict[str, bytes]) -> None:
        numbers: dict[int, str] = {}
        row = 0
        for batch in batches(self._workspace, [file], [column]):
            for value in batch.column(0).to_pylist():
                if value in wanted and value not in found and value not in numbers.values():
                    numbers[row] = value
                row += 1
        if numbers:
            for number, data in rows_at(self._workspace, file, list(numbers), ["bytes"]):
                found[numbers[number]] = data["bytes"]

    def _manifests(self, jobs: Sequence[str]) -> list[Manifest]:
        found = []
        for job in jobs:
            keys = self._workspace.in_force(job)
            chosen = set(sample(keys, _SHARDS, str)) if len(keys) > _SHARDS else set(keys)
            found += self._workspace.manifests(job, [key for key in keys if key in chosen])
        return found


def stages_with_results(workspace: Workspace) -> list[str]:
    """The stages of which something is in force."""
    return [stage for stage in STAGES if jobs_of(workspace, stage)]


def write_scores(workspace: Workspace, about: str, metrics: Sequence[str], scored: Mapping[str, Any]) -> None:
    """Keep an evaluation's scores for the report: name of a model → its metrics."""
    data = {"about": about, "metrics": list(metrics), "rows": [{"name": n, "metrics": m} for n, m in scored.items()]}
    workspace.folder.replace("scores.json", json.dumps(data, indent=1).encode())
