"""What is known of images, told and asked over shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_places as made
import pytest
from made_jobs import PlainEngine

from beam_jobs.index_step import find_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.mining_index import FactsTask, ImageFactsStep, KnownImages
from beam_jobs.session import Session, asker
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from mining.places import ImageFacts

BOTH = ("pattern_sketch", "caption_sketch")
#: One image with everything, one with a caption alone, one with nothing beside its features.
FACTS = (
    made.facts(
        "all",
        label="cat",
        label_score=0.5,
        generated="png:parameters",
        caption="ein Müßiggänger",
        pattern_sketch=bytes(range(48)),
        caption_sketch=b"p" * 32,
    ),
    made.facts("said", caption="a cat", caption_sketch=b"s" * 32),
    made.facts("plain"),
)


def annotations_row(one: ImageFacts) -> dict[str, Any]:
    names = ("width", "height", "flatness", "sketch", "format", "animated", "label", "label_score", "nsfw", "generated")
    more = {name: getattr(one, name) for name in (*names, "caption", *BOTH)}
    return {"image_id": one.image_id, "phash": f"{one.phash:016x}", "models": "made", **more}


def known(path: Path, sketches: Sequence[str], backwards: bool = False) -> dict[str, ImageFacts]:
    """What one asker is told of all images, which two shards annotated."""
    workspace = Workspace(str(path))
    tasks = []
    for key, some in (("a" * 32, FACTS[:1]), ("b" * 32, FACTS[1:])):
        writer = ShardWriter(workspace, "annotate_images", key)
        for one in some:
            writer.row("annotations", annotations_row(one))
        writer.commit()
        tasks.append(FactsTask("annotations", LocateTask("annotate_images", key)))

    class Asking(ImageFactsStep):
        """Asks for all images beside."""

        def messages(self, task: Any) -> Any:
            if isinstance(task, FactsTask):
                return super().messages(task)
            return [(f"f:{one.image_id}", asker(0), b"") for one in FACTS]

    step = Asking(workspace, tuple(sketches))
    session = Session(workspace, PlainEngine(backwards))
    session.index(step, [*tasks, "asks"], "key")
    return dict(KnownImages.read(workspace, find_answers(workspace, step.name, "key")[asker(0)]).facts)


@pytest.mark.parametrize("backwards", [False, True])
def test_what_is_known_of_images_arrives_whole(tmp_path: Path, backwards: bool) -> None:
    found = known(tmp_path, BOTH, backwards)
    for one in FACTS:
        told = replace(one, format="", flatness=found[one.image_id].flatness, nsfw=found[one.image_id].nsfw)
        assert found[one.image_id] == told


def test_sketches_that_nothing_compares_stay_where_they_are(tmp_path: Path) -> None:
    for number, wanted in enumerate(((), ("pattern_sketch",), ("caption_sketch",))):
        found = known(tmp_path / str(number), wanted)
        for one in FACTS:
            for name in BOTH:
                assert getattr(found[one.image_id], name) == (getattr(one, name) if name in wanted else None)
            assert found[one.image_id].caption == one.caption
