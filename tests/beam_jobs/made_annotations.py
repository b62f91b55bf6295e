"""Shards of annotations of made images, and Beam's runner for tests."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace


class InProcess:
    """Beam's runner for tests, without the options of a command line; counts the pipelines."""

    runner, workers = "test", 1

    def __init__(self) -> None:
        self.labels: list[str] = []

    def run(self, label: str, transform: beam.PTransform) -> None:
        self.labels.append(label)
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            pipeline | label >> transform


def annotated(path, shards):
    workspace, manifests = Workspace(str(path)), []
    for number, some in enumerate(shards):
        writer = ShardWriter(workspace, "annotate_images.images", f"{number:032x}")
        for one in sorted(some, key=lambda one: one.image_id):
            facts = {"image_id": one.image_id, "width": one.area, "height": 1, "phash": f"{one.phash:016x}"}
            more = {"format": "JPEG", "animated": False, "flatness": 0.1, "models": "made"}
            writer.row("annotations", facts | more | {"sketch": one.sketch})
        manifests.append(writer.commit())
    return Session(workspace, InProcess()), manifests
