"""Scores of candidates as columns, and the filter over them."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from beam_jobs.corpus.compose import Source
from beam_jobs.corpus.images import PAGES_JOB, PagesShard
from beam_jobs.corpus.places import read_places
from beam_jobs.corpus.search import lists_of
from beam_jobs.index_step import NO_ANSWERS, Answers, Message, answer_map
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.thing_counts import ThingCountsStep, ThingsTask, read_thing_counts
from beam_jobs.workspace import Manifest, Workspace
from mining.annotation import AnnotateConfig, load_text_encoder
from mining.mine_config import MineConfig
from mining.miners.make import HUB_NEIGHBOURS
from mining.scores.filter import fault
from mining.scores.pair_scores import alignment_scores, hub_scores, text_scores
from schemas.ids import canonical_json, digest
from schemas.settings import settings_digest

VERSION = "2"
_COUNT = struct.Struct("<I")
#: Pairs whose texts are embedded together.
_BLOCK = 1024


@dataclass(frozen=True)
class HubCounts:
    """In how many lists of ten nearest neighbours each image stands (N_k), told to the candidates that show it."""

    workspace: Workspace
    name: str = "hub_counts"

    def messages(self, task: Source | Manifest) -> Iterator[Message]:
        """Groups of lists tell one count an image, sources of candidates ask."""
        if isinstance(task, Manifest):
            counts: Counter[str] = Counter()
            for _, lists in lists_of(self.workspace, task):
                counts.update(lists["image"].ids[:HUB_NEIGHBOURS] if "image" in lists else ())
            for image_id in sorted(counts):
                # The key of the group makes equal counts of two groups two messages.
                yield image_id, "", task.key.encode() + _COUNT.pack(counts[image_id])
            return
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        found = rows(self.workspace, manifest, "candidates", ["query_image_id", "target_image_id"])
        for image_id in sorted({one for row in found for one in row.values()}):
            yield image_id, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The sum, to all who ask."""
        total = sum(_COUNT.unpack(value[-_COUNT.size :])[0] for value in values)
        yield from ((one, _COUNT.pack(total)) for one in askers if total)


@dataclass(frozen=True)
class ScoreJob:
    """Candidates of one source with their scores, those that the filter keeps."""

    workspace: Workspace
    config: MineConfig
    models: AnnotateConfig
    shards: tuple[PagesShard, ...]
    stage: str = "mine_pairs.score"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Reasons of the unit `pair`: `below_COLUMN`, `above_COLUMN`, `without_COLUMN`."""
        source: Source = shard.work["source"]
        wanted = self.config.scores
        counts = read_thing_counts(self.workspace, shard.work["things"]) if "thing_pmi" in wanted else None
        hubs = answer_map(self.workspace, shard.work["hubs"].path)
        occurrences = {image_id: _COUNT.unpack(value)[0] for image_id, value in hubs.items()}
        encoder = load_text_encoder(self.models) if "alignment" in wanted else None
        manifest = self.workspace.manifests(source.job, [source.key])[0]
        looks = self._of_images(source, "sketch") if encoder and self._one_space else None
        captions = self._of_images(source, "caption") if encoder and not self._one_space else None
        found = rows(self.workspace, manifest, "candidates")
        while block := list(islice(found, _BLOCK)):
            aligned = alignment_scores(block, looks, encoder, captions) if encoder else [{}] * len(block)
            for row, more in zip(block, aligned, strict=True):
                row.update(text_scores(row, wanted, counts), **more)
                if "hubness" in wanted:
                    row.update(hub_scores(row, occurrences))
                dropped = fault(row, self.config.filter)
                if dropped is None:
                    writer.row("candidates", row)
                else:
                    writer.entered("pair")
                    writer.rejected("pair", dropped[0], id=row["pair_id"], url=row["page_url"], detail=dropped[1])

    @property
    def _one_space(self) -> bool:
        """Whether sketches of images can be compared with those of texts."""
        return self.models.image_model == self.models.text_model

    def _of_images(self, source: Source, column: Literal["sketch", "caption"]) -> dict[str, Any]:
        """Image id → what a column of `eligible` holds, of the images that a source's pairs name."""
        if source.pages is not None:
            shown = self.workspace.manifests(PAGES_JOB, [source.pages])[0]
            found = rows(self.workspace, shown, "eligible", ["image_id", column])
            return {row["image_id"]: row[column] for row in found}
        places = read_places(self.workspace, self.shards, source.places)
        if column == "sketch":
            return {image_id: places.sketches[row].tobytes() for image_id, row in places.index.items()}
        captions = places.rows.column("caption").to_pylist()
        return {image_id: captions[row] for image_id, row in places.index.items()}


def score_candidates(
    session: Session,
    shards: Sequence[PagesShard],
    sources: Sequence[Source],
    joined: Sequence[Manifest],
    config: MineConfig,
    models: AnnotateConfig,
) -> list[Source]:
    """The sources with scores; `joined`: the lists of neighbours, for hubness."""
    basis = digest("scores", *(one.digest for one in sources), *(one.digest for one in joined))
    things: Mapping[str, Answers] = {}
    hubs: Mapping[str, Answers] = {}
    if "thing_pmi" in config.scores:
        tasks = [ThingsTask(LocateTask(PAGES_JOB, one.key)) for one in shards]
        tasks += [ThingsTask(LocateTask(one.job, one.key, one.number), False, "candidates") for one in sources]
        things = session.index(ThingCountsStep(session.workspace), tasks, basis)
    if "hubness" in config.scores:
        hubs = session.index(HubCounts(session.workspace), [*joined, *sources], basis)
    settings = digest(
        canonical_json({name: one.model_dump() for name, one in config.filter.items()}),
        str(config.scores),
        settings_digest(models),
    )
    job = ScoreJob(session.workspace, config, models, tuple(shards))
    planned = []
    for one in sources:
        told = [answers.get(asker(one.number), NO_ANSWERS) for answers in (things, hubs)]
        key = session.shard_key(job.stage, VERSION, one.job, one.key, one.digest, *(t.digest for t in told), settings)
        planned.append(Shard(key, {"source": one, "things": told[0], "hubs": told[1]}))
    scored = session.shards(job, planned)
    return [
        replace(one, job=job.stage, key=manifest.key, digest=manifest.digest)
        for one, manifest in zip(sources, scored, strict=True)
    ]
