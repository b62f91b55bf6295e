"""Search for embedding duplicates: every two parts of a crawl are searched for each other once, by shard jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.corpus.search import ViewPlan, read_index
from beam_jobs.corpus.search_plan import fill_parts, plan_views
from beam_jobs.feature_parts import FeatureGroup
from beam_jobs.index_step import NO_ANSWERS, Answers, answer_map
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.feature_duplicate_rounds import NearRow
from mining.mine_config import SearchConfig
from mining.near_lists import RANK, NearLists, Side, near_lists, rank_bytes
from mining.search.vectors import view_vectors
from schemas.corpus_tables import NEAR_IMAGES
from schemas.ids import digest

VERSION = "1"
_VIEW = "image"
_TRAIN, _INDEX, _SEARCH = "mine_pairs.near_train", "mine_pairs.near_index", "mine_pairs.near_search"
#: The k by which probes are chosen: near duplicates are the nearest of all.
_NEAREST = 10
#: Lists that are written together.
_BLOCK = 4096


@dataclass(frozen=True)
class NearSearchJob:
    """Searches two parts for each other, or one for itself: rows of `near_images`."""

    workspace: Workspace
    stage: str = _SEARCH

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """`indexes` and `after` in the work belong to the two parts."""
        work = shard.work
        parts: tuple[FeatureGroup, ...] = work["parts"]
        one, *others = (
            self._side(part, index, after)
            for part, index, after in zip(parts, work["indexes"], work["after"], strict=True)
        )
        plan: ViewPlan = work["plan"]
        own, reverse = near_lists(one, others[0] if others else None, work["bound"], work["limit"], plan.probes)
        for lists, of_part in ((own, False), (reverse, True)):
            for table in _tables(lists, of_part) if lists is not None else ():
                writer.columns("near_images", table)

    def _side(self, part: FeatureGroup, index: str | None, after: Answers | None) -> Side:
        vectors = view_vectors(_VIEW, part.columns(self.workspace, [_VIEW]))
        areas = part.areas(self.workspace)
        stored = read_index(self.workspace, index)
        begins = None if after is None else answer_map(self.workspace, after.path)
        return Side(vectors, rank_bytes(vectors.ids, [areas[one] for one in vectors.ids]), stored, begins)


def _tables(lists: NearLists, of_part: bool) -> Iterator[pa.Table]:
    starts = np.concatenate([[0], np.cumsum(lists.lengths)])
    for first in range(0, len(lists.lengths), _BLOCK):
        last = min(first + _BLOCK, len(lists.lengths))
        offsets = (starts[first : last + 1] - starts[first]).astype(np.int32)
        near = _binary(lists.near[starts[first] : starts[last]])
        columns = [
            _binary(lists.ranks[first:last]),
            pa.array([of_part] * (last - first)),
            pa.ListArray.from_arrays(offsets, near),
            pa.array(lists.cut[first:last]),
        ]
        yield pa.table(columns, schema=NEAR_IMAGES.schema)


def _binary(ranks: npt.NDArray[np.uint8]) -> pa.Array:
    places = pa.py_buffer(np.arange(len(ranks) + 1, dtype=np.int32) * RANK)
    return pa.BinaryArray.from_buffers(pa.binary(), len(ranks), [None, places, pa.py_buffer(ranks.tobytes())])


@dataclass(frozen=True)
class Searched:
    """One search that was done: where its rows lie, and the numbers of the part that asked and the one searched."""

    job: str
    key: str
    part: int
    near_part: int

    def rows(self, workspace: Workspace) -> Iterator[NearRow]:
        """Its lists."""
        manifest = workspace.manifests(self.job, [self.key])[0]
        for row in rows(workspace, manifest, "near_images"):
            ends = (self.near_part, self.part) if row["of_part"] else (self.part, self.near_part)
            yield NearRow(row["rank"], ends[0], row["near"], ends[1], row["cut"])


@dataclass(frozen=True)
class NearSearch:
    """How the parts of a crawl are searched for each other."""

    groups: Sequence[FeatureGroup]
    plan: ViewPlan
    indexes: Mapping[int, str]
    bound: float
    models: str

    def run(
        self, session: Session, limit: int, after: Mapping[str, Answers] | None, number: int
    ) -> tuple[list[Searched], str]:
        """Search once more, for lists of at most `limit`: what was done, and the digest of what was found.

        `after`: asker of a part → the ranks behind which the lists of its images begin (of those that ask again, and
        only they have any); None in the first search, `number` 0."""
        stage = f"{_SEARCH}.{number}" if number else _SEARCH
        planned, ends = [], []
        for one in self.groups:
            for other in self.groups[one.number :]:
                parts = (one,) if other.number == one.number else (one, other)
                begins = [None if after is None else after.get(asker(part.number), NO_ANSWERS) for part in parts]
                if after is not None and not any(told and told.weight for told in begins):
                    continue
                known = [part.digest(_VIEW) for part in parts] + [told.digest if told else "all" for told in begins]
                settings = (str(self.bound), str(limit), *self.plan.parts, self.models)
                key = session.shard_key(stage, VERSION, str(len(parts)), *known, *settings)
                indexes = [self.indexes.get(part.number) for part in parts]
                work = {"parts": parts, "indexes": indexes, "after": begins, "plan": self.plan}
                planned.append(Shard(key, work | {"bound": self.bound, "limit": limit}))
                ends.append((one.number, other.number))
        done = session.shards(NearSearchJob(session.workspace, stage), planned)
        found = [Searched(stage, manifest.key, *pair) for manifest, pair in zip(done, ends, strict=True)]
        return found, _digest(done, ends)


def _digest(done: Sequence[Manifest], ends: Sequence[tuple[int, int]]) -> str:
    return digest("near", *(f"{one.digest} {pair}" for one, pair in zip(done, ends, strict=True)))


def plan_near_search(
    session: Session, groups: Sequence[FeatureGroup], bound: float, config: SearchConfig, models: str
) -> NearSearch:
    """An exact search, or one in cells whose index is trained and filled here. `models`: digest of what made the
    features."""
    images = sum(shard.weight for group in groups for shard in group.shards)
    (plan,) = plan_views(session, groups, {_VIEW: _NEAREST}, config, models, images, _TRAIN)
    indexes = fill_parts(session, groups, plan, models, _INDEX) if plan.trained else {}
    return NearSearch(groups, plan, indexes, bound, models)
