"""The images that requests show, scaled as models are sent them: for jobs that answer and for commands that ask."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence

from beam_jobs.image_places import ImagePlace, ImageReader, image_sources
from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from schemas.thumbnails import scaled

#: Scaled images that are kept: neighbouring requests show the same ones.
_KEPT = 128
_QUALITY = 90


class ShownImages:
    """Image ids and the longer side in pixels to JPEG files, in their order. Raises ValueError for an image that has
    no place or cannot be decoded."""

    def __init__(self, workspace: Workspace, places: Mapping[str, ImagePlace]) -> None:
        self._places = places
        self._reader = ImageReader(workspace, places)
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def __call__(self, image_ids: Sequence[str], side: int) -> list[bytes]:
        return [self._one(image_id, side) for image_id in image_ids]

    def _one(self, image_id: str, side: int) -> bytes:
        key = (image_id, side)
        if key not in self._kept:
            if image_id not in self._places:
                raise ValueError(f"{image_id} is nowhere")
            small = scaled(self._reader.fetch([image_id])[image_id], side, _QUALITY)
            if small is None:
                raise ValueError(f"{image_id} cannot be decoded")
            self._kept[key] = small
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def find_places(workspace: Workspace, wanted: Collection[str]) -> dict[str, ImagePlace]:
    """Where images lie, the first place of each, by a look at the ids of all that the run has."""
    found: dict[str, ImagePlace] = {}
    left = set(wanted)
    for number, (job, key) in enumerate(image_sources(workspace)):
        if not left:
            break
        for index, file in enumerate(workspace.manifests(job, [key])[0].files.get("images", ())):
            row = 0
            for batch in batches(workspace, [file], ["image_id"]):
                for image_id in batch.column(0).to_pylist():
                    if image_id in left:
                        left.remove(image_id)
                        found[image_id] = ImagePlace(number, index, row, 0)
                    row += 1
    return found
