"""Jobs in which a trained model answers the train split: its images and queries embedded, the nearest images of each.

The train split is what the output folder published last: images are read where they lie, and go through the model once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from beam_jobs.image_places import ImagePlace, ImageReader, ImageSource
from beam_jobs.index_step import Message, answer_map
from beam_jobs.session import asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter, WrittenShard
from beam_jobs.supervised import child
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.miners.interface import Neighbours
from mining.search.index import PartSearch, merge
from mining.search.vectors import ViewVectors, whole
from mining.similarity import DECIMALS
from schemas.protocols import ComposedEncoder, Float32Array

#: The job whose shards hold the rows of the published dataset.
PUBLISHED_JOB = "publish_dataset"
#: Items that are embedded together: always the same ones, since a batch moves a model's last bits.
_BLOCK = 256


@dataclass(frozen=True)
class GuideModel:
    """A trained model as jobs are given it: `loader` (module:function) makes an encoder of `path`, a folder that every
    worker sees; `digest` tells its weights, `name` its kind."""

    loader: str
    path: str
    digest: str
    name: str

    def load(self) -> ComposedEncoder:
        """The encoder, loaded once a process."""
        return _loaded(self)


@lru_cache(1)
def _loaded(model: GuideModel) -> ComposedEncoder:
    module, function = model.loader.split(":")
    encoder: ComposedEncoder = getattr(import_module(module), function)(model.path, model.digest)
    return encoder


@dataclass(frozen=True)
class PublishedShard:
    """A shard of the published dataset."""

    number: int
    key: str


@dataclass(frozen=True)
class TrainImages:
    """Where the files of the train split's images lie, and which shard embeds which: the first that names it."""

    workspace: Workspace
    name: str = "train_images"

    def messages(self, task: ImageSource | PublishedShard) -> Iterator[Message]:
        """Images with their places; images that a shard names."""
        if isinstance(task, ImageSource):
            yield from task.messages(self.workspace)
            return
        manifest = self.workspace.manifests(PUBLISHED_JOB, [task.key])[0]
        for row in rows(self.workspace, manifest, "assigned_images", ["image_id", "split"]):
            if row["split"] == "train":
                yield row["image_id"], asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first place, with a mark for the first who asks."""
        if values:
            yield from ((one, values[0] + bytes([one == askers[0]])) for one in askers)


@dataclass(frozen=True)
class EmbedJob:
    """Embeds the train images of one shard of the dataset that are its own, and its train queries: rows of
    `model_vectors`. Of the triplets a `share` is asked, chosen by id."""

    workspace: Workspace
    model: GuideModel
    share: float
    stage: str = "mine_pairs.embed"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Files of strangers are decoded in a child process."""
        arguments = (self, shard.key, writer.attempt, shard.work)
        writer.take(child("guide").call("beam_jobs.corpus.guided:embed_in_child", *arguments))


def embed_in_child(
    job: EmbedJob, key: str, attempt: str, work: Mapping[str, Any], *, mark: Any, quarantine: Mapping[str, str]
) -> WrittenShard:
    """The vectors of one shard. A triplet whose query image lies nowhere any more is left out."""
    workspace, encoder = job.workspace, job.model.load()
    writer = ShardWriter(workspace, job.stage, key, attempt)
    told = answer_map(workspace, work["images"].path)
    reader = ImageReader(workspace, {image_id: ImagePlace.unpack(value[:-1]) for image_id, value in told.items()})
    items: list[tuple[str, str | None, str | None]] = [(one, None, None) for one in sorted(told) if told[one][-1]]
    published = workspace.manifests(PUBLISHED_JOB, [work["published"]])[0]
    columns = ["triplet_id", "split", "query_image_id", "target_image_id", "instruction"]
    asked = {
        (row["query_image_id"], row["target_image_id"], row["instruction"])
        for row in rows(workspace, published, "assigned", columns)
        if row["split"] == "train" and int(row["triplet_id"][:13], 16) < job.share * 16**13
    }
    items += sorted(one for one in asked if one[0] in told)
    for first in range(0, len(items), _BLOCK):
        block = items[first : first + _BLOCK]
        files = reader.fetch(sorted({one[0] for one in block}))
        vectors = encoder.encode(files, [(image_id, text or "") for image_id, _, text in block])
        for (image_id, target, text), vector in zip(block, vectors, strict=True):
            writer.row(
                "model_vectors", {"image_id": image_id, "target_image_id": target, "text": text, "vector": vector}
            )
    return writer.close()


@dataclass(frozen=True)
class RankJob:
    """Searches all images of the train split for the queries of one shard: rows of `rankings`."""

    workspace: Workspace
    depth: int
    stage: str = "mine_pairs.rankings"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """One part of the images is in memory at a time. A query whose target has no vector is left out; its own image
        is no answer."""
        asked, vectors = self._read(shard.work["queries"], queries=True)
        order = sorted(range(len(asked)), key=lambda place: asked[place])
        asked = [asked[place] for place in order]
        queries = _view([query for query, _, _ in asked], vectors[order])
        found: list[list[Neighbours]] = [[] for _ in asked]
        target_scores: dict[int, float] = {}
        for key in shard.work["parts"]:
            named, shown = self._read(key, queries=False)
            by_id = sorted(range(len(named)), key=lambda place: named[place])
            part = _view([named[place][0] for place in by_id], shown[by_id])
            numbers = {image_id: number for number, image_id in enumerate(part.ids)}
            for place, near in enumerate(PartSearch(part).search(queries, self.depth)):
                found[place] = [merge([*found[place], near], self.depth)]
            here = [(place, numbers[target]) for place, (_, target, _) in enumerate(asked) if target in numbers]
            if here:
                places, targets = (np.array(one, np.int64) for one in zip(*here, strict=True))
                scores = queries.scores(places, part, targets[:, None])[:, 0]
                target_scores |= dict(zip(places.tolist(), scores.tolist(), strict=True))
        for place in sorted(target_scores):
            query, target, text = asked[place]
            (near,) = found[place]
            writer.row(
                "rankings",
                {
                    "query_image_id": query,
                    "target_image_id": target,
                    "text": text,
                    "target_score": round(target_scores[place], DECIMALS),
                    "answers": list(near.ids),
                    "scores": list(near.scores),
                },
            )

    def _read(self, key: str, queries: bool) -> tuple[list[tuple[str, str, str]], Float32Array]:
        """The images, or the queries, of one shard with their vectors."""
        manifest = self.workspace.manifests(EmbedJob.stage, [key])[0]
        names, vectors = [], []
        for row in rows(self.workspace, manifest, "model_vectors"):
            if (row["target_image_id"] is not None) == queries:
                names.append((row["image_id"], row["target_image_id"] or "", row["text"] or ""))
                vectors.append(np.asarray(row["vector"], np.float32))
        return names, np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)


def _view(ids: Sequence[str], vectors: Float32Array) -> ViewVectors:
    """Vectors as the search takes them: scores are cosines of float64."""
    wide = vectors.astype(np.float64)
    unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return ViewVectors(ids, whole(vectors), unit)
