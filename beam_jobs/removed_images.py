"""Images that the whole crawl does without: near duplicates of others, and those of benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from beam_jobs.decontaminate import run_decontaminate
from beam_jobs.feature_duplicates import run_feature_duplicates
from beam_jobs.feature_parts import features_left
from beam_jobs.index_step import Message
from beam_jobs.locate_images import LocateTask
from beam_jobs.mining_index import FactsTask
from beam_jobs.near_duplicates import run_near_duplicates
from beam_jobs.session import Session, asker
from beam_jobs.shard_pages import MineTask, ShardPages
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.decontamination.read import digests_of_files
from mining.eligibility import eligible_places
from mining.mine import unwanted_page
from mining.mine_config import MineConfig
from schemas.outcomes import IgnoredOutcomes


@dataclass(frozen=True)
class UsableImages:
    """Which images of a shard of annotations some page shows in a place that may enter pairs. Others, such as files
    that no page shows or only one that opts out, shall not survive in the place of an image that can be used."""

    workspace: Workspace
    config: MineConfig
    agent: str
    name: str = "usable_images"

    def messages(self, task: MineTask | LocateTask) -> Iterator[Message]:
        """Shards of pages tell what they can use, shards of annotations ask."""
        if isinstance(task, LocateTask):
            assert task.number is not None
            manifest = self.workspace.manifests(task.job, [task.key])[0]
            for row in rows(self.workspace, manifest, "annotations", ["image_id"]):
                yield row["image_id"], asker(task.number), b""
            return
        ignored = IgnoredOutcomes()
        usable: set[str] = set()
        for one in ShardPages(self.workspace, task, self.config, self.agent).inputs(ignored):
            if unwanted_page(one.page, self.config) is None:
                places = eligible_places(one.page, one.places, one.facts, self.config, ignored)
                usable.update(image.image_id for image in places)
        yield from ((image_id, "", b"u") for image_id in sorted(usable))

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """To all who have the image."""
        if values:
            yield from ((one, b"") for one in askers)


def removed_images(
    session: Session,
    annotated: Sequence[Manifest],
    known: Callable[[], Sequence[MineTask]],
    config: MineConfig,
    agent: str,
    settings: str,
    models: str,
) -> list[FactsTask]:
    """Shards that tell of the images that are removed. `annotated`: the shards of annotations; `known`: the shards of
    pages with the facts of their images, asked for where they are wanted; `settings`: digest of what decides on single
    pages; `models`: digest of what made the features."""
    tasks = []
    if config.near_duplicates is not None:
        shards = [LocateTask(one.stage, one.key, number) for number, one in enumerate(annotated)]
        pages = known()
        basis = basis_of(annotated, settings, *(one.known.digest for one in pages))
        step = UsableImages(session.workspace, config, agent)
        usable = session.index(step, [*pages, *shards], basis)
        found = run_near_duplicates(session, annotated, config.near_duplicates, usable)
        for number, one in enumerate(shards):
            answers = found.get(asker(number))
            if answers is not None:
                tasks.append(FactsTask("near_duplicates", one, answers.path))
        bound = config.near_duplicates.feature_similarity
        if bound is not None:
            left = features_left(annotated, usable, found)
            for group, answers in run_feature_duplicates(session, left, bound, config.search, models):
                tasks.append(FactsTask("near_duplicates", group.source, answers.path))
    if config.decontaminate.files:
        digests = digests_of_files(config.decontaminate)
        matched = run_decontaminate(session, annotated, config.decontaminate, digests)
        tasks += [FactsTask("matches", LocateTask(one.stage, one.key)) for one in matched]
    return tasks
