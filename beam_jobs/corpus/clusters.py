"""Clusters of features, by which `caps.cluster` counts: centroids of a sample, and the cluster of each target image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beam_jobs.corpus.compose import Source
from beam_jobs.corpus.groups import Group
from beam_jobs.corpus.search_plan import sampled_vectors
from beam_jobs.index_step import Message
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.mine_config import SearchConfig
from mining.search.index import IndexPlan, cells_of, train
from mining.search.vectors import view_vectors
from schemas.ids import digest

VERSION = "1"
#: Name of the step whose answers `beam_jobs.corpus.choose` reads.
STEP = "clusters"
_VIEW = "image"
#: Images of a cluster on average, at least.
_IMAGES = 10


@dataclass(frozen=True)
class ClusterJob:
    """Finds the centroids, on a sample of the corpus that is chosen by hash."""

    workspace: Workspace
    stage: str = "mine_pairs.clusters"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The file goes into the notes."""
        sample = sampled_vectors(self.workspace, shard.work["groups"], _VIEW, shard.work["share"])
        name = f"_work/search/{_VIEW}/clusters-{shard.key}.faiss"
        self.workspace.folder.create(name, train(sample.search, IndexPlan(shard.work["clusters"])))
        writer.notes["file"] = name


@dataclass(frozen=True)
class Clusters:
    """The cluster of each image, to the sources whose targets ask for it."""

    workspace: Workspace
    trained: str
    name: str = STEP

    def messages(self, task: Group | Source) -> Iterator[Message]:
        """Groups of images tell, sources of candidates ask."""
        if isinstance(task, Source):
            manifest = self.workspace.manifests(task.job, [task.key])[0]
            found = rows(self.workspace, manifest, "candidates", ["target_image_id"])
            for image_id in sorted({row["target_image_id"] for row in found}):
                yield image_id, asker(task.number), b""
            return
        images = view_vectors(_VIEW, task.columns(self.workspace, [_VIEW]))
        with self.workspace.folder.open(self.trained) as source:
            cells = cells_of(source.read(), images)
        for image_id, cell in zip(images.ids, cells.tolist(), strict=True):
            yield image_id, "", int(cell).to_bytes(4, "big")

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The one cluster, to all who ask."""
        yield from ((one, values[0]) for one in askers if values)


def clusters_step(session: Session, groups: Sequence[Group], config: SearchConfig, models: str) -> tuple[Clusters, str]:
    """The step with its centroids found, and the digest of what it goes by. The number of clusters is a power of two,
    which additions seldom change."""
    images = sum(one.first.weight for group in groups for one in group.shards)
    count = 1
    while 2 * count <= min(config.clusters, images // _IMAGES):
        count *= 2
    job = ClusterJob(session.workspace)
    key = session.shard_key(job.stage, VERSION, str(count), str(config.sample), models)
    work = {"groups": tuple(groups), "share": min(1.0, config.sample / max(images, 1)), "clusters": count}
    file = session.shards(job, [Shard(key, work)])[0].notes["file"]
    return Clusters(session.workspace, file), digest(key, *(group.digest(_VIEW) for group in groups))
