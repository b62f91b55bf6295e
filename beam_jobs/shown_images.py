"""The images that requests show, scaled as models are sent them: for jobs that answer and for commands that ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from beam_jobs.image_places import ImagePlace, ImageReader, image_sources, places_in
from beam_jobs.workspace import Workspace
from schemas.thumbnails import ScaledImages


def shown_images(workspace: Workspace, places: Mapping[str, ImagePlace]) -> ScaledImages:
    """The images of a run, by the places where they lie."""
    reader = ImageReader(workspace, places)

    def read(image_id: str) -> bytes:
        if image_id not in places:
            raise ValueError(f"{image_id} is nowhere")
        return reader.fetch([image_id])[image_id]

    return ScaledImages(read)


def find_places(workspace: Workspace, wanted: Collection[str]) -> dict[str, ImagePlace]:
    """Where images lie, the first place of each, by a look at the ids of all that the run has."""
    found: dict[str, ImagePlace] = {}
    left = set(wanted)
    for number in range(len(image_sources(workspace))):
        if not left:
            break
        for image_id, place in places_in(workspace, number):
            if image_id in left:
                left.remove(image_id)
                found[image_id] = place
    return found
