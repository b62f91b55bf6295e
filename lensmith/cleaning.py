"""The last act of a run: what no manifest in force names is removed, so that a table's files are its rows."""

from __future__ import annotations

from beam_jobs.publish_files import FILES_FOLDER
from beam_jobs.workspace import Workspace, stage_of
from schemas.storage import Folder
from schemas.tables import TABLES

_MANIFESTS = "_work/manifests"
_INDEX = "_work/index"
#: Indexes of the search for neighbours, one folder a view; manifests name them in their notes.
_SEARCH = "_work/search"


def clean(workspace: Workspace, used_answers: set[str], complete: bool) -> None:
    """Remove manifests that are not in force and data files that no manifest in force names; after a `complete` run
    (all stages), index checkpoints that it did not use as well."""
    folder = workspace.folder
    kept: set[str] = set()
    in_force = {name.removesuffix(".json") for name in folder.list("_work/in_force")}
    for job in folder.list(_MANIFESTS):
        committed = workspace.committed(job)
        keys = workspace.in_force(job)
        # A job that has nothing in force is in the midst of its first run, and what it has done stays; but once its
        # stage has come to its end without it, it is no part of it any more.
        if job not in in_force and not (complete and stage_of(job) in in_force):
            keys = sorted(committed)
        for manifest in workspace.manifests(job, keys):
            kept |= {one.path for files in manifest.files.values() for one in files}
            kept.add(str(manifest.notes.get("file")))
        for key in sorted(committed - set(keys)):
            folder.remove(workspace.manifest_name(job, key))
    for name in (*(table.folder for table in TABLES.values()), FILES_FOLDER):
        _sweep(folder, name, kept)
    for view in folder.list(_SEARCH):
        _sweep(folder, f"{_SEARCH}/{view}", kept)
    for name in folder.half_made("_work"):
        folder.remove(name)
    if complete:
        for name in folder.list(_INDEX):
            for key in folder.list(f"{_INDEX}/{name}"):
                if f"{_INDEX}/{name}/{key}" not in used_answers:
                    folder.remove(f"{_INDEX}/{name}/{key}", recursive=True)


def _sweep(folder: Folder, name: str, kept: set[str]) -> None:
    for entry in folder.list(name):
        path = f"{name}/{entry}"
        if entry.endswith((".parquet", ".faiss")):
            if path not in kept:
                folder.remove(path)
        elif name.startswith(("rejected", "_work/deferred")):
            _sweep(folder, path, kept)
