"""The requests of a run that wait for a batch, as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any

from beam_jobs.chain_plan import Stores
from beam_jobs.image_places import ImagePlace
from beam_jobs.shown_images import find_places, shown_images
from beam_jobs.workspace import Workspace
from lensmith.batch_requests import (
    answered_ids,
    image_ids_of,
    links_by_job,
    settings_of_run,
    waiting_ids,
    waiting_rows,
    waiting_shards,
)
from schemas.errors import ConfigurationError
from schemas.storage import Folder
from schemas.thumbnails import ScaledImages
from synthesis.batch_files import Files, Limits, batch_line


@dataclass
class Written:
    """Files with the number of their requests, in their order, the model of each; requests left out, by reason."""

    files: dict[str, int] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def write_batches(workspace: Workspace, target: Folder, limits: Limits) -> Written:
    """Write what waits for a batch and no store answers. Equal runs give equal files.

    Raises ConfigurationError if the target is not empty.
    """
    if target.list(""):
        raise ConfigurationError(f"{target.path} is not empty: name a new folder with --output.")
    settings = settings_of_run(workspace)
    answered = answered_ids(workspace, Stores.of(settings.write_instructions, workspace.path), waiting_ids(workspace))
    links = links_by_job(settings)
    shown: set[str] = set()
    for _, manifest in waiting_shards(workspace):
        shown |= image_ids_of(waiting_rows(workspace, manifest))
    places = find_places(workspace, shown)
    images = shown_images(workspace, places)
    written, files, done = Written(), Files(limits), set(answered)
    with ExitStack() as stack:
        sinks: dict[str, tuple[str, IO[bytes]]] = {}
        for job, manifest in waiting_shards(workspace):
            structured = links[job].config.structured if job in links else "schema"
            for row in sorted(waiting_rows(workspace, manifest), key=lambda row: _by_place(row, places)):
                if row["request_id"] in done:
                    continue
                done.add(row["request_id"])
                try:
                    line = batch_line(row, _images_of(row, images), structured)
                except ValueError:
                    written.left_out["image_unreadable"] += 1
                    continue
                name = files.place(row["model"], line)
                if name is None:
                    written.left_out["too_large"] += 1
                    continue
                if name not in written.files:
                    if row["model"] in sinks:
                        sinks[row["model"]][1].close()
                    sinks[row["model"]] = (name, stack.enter_context(target.open(name, "wb")))
                    written.files[name], written.models[name] = 0, row["model"]
                sinks[row["model"]][1].write(line)
                written.files[name] += 1
    return written


def _by_place(row: Mapping[str, Any], places: Mapping[str, ImagePlace]) -> tuple[Any, ...]:
    """Requests in the order in which their images lie, which is that of reading; without images by id."""
    found = [place for one in row["image_ids"] or () if (place := places.get(one)) is not None]
    return (*([min(found)] if found else [ImagePlace(0, 0, 0, 0)]), row["request_id"])


def _images_of(row: Mapping[str, Any], images: ScaledImages) -> list[bytes]:
    if not row["image_ids"]:
        return []
    return images(row["image_ids"], json.loads(row["parameters"])["image_side"])
