"""Job `mine_pairs.find`: a group's lists of neighbours to pairs of ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from beam_jobs.corpus.search import JoinJob, lists_of
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from mining.miners.interface import Found, NeighbourMiner, Neighbours
from schemas.corpus_tables import FOUND

VERSION = "3"
#: Found pairs that are written together.
_BLOCK = 4096


@dataclass(frozen=True)
class FindJob:
    """The miners of neighbours on the lists of one group: rows of `found`, by image and in the order of the miners."""

    workspace: Workspace
    miners: tuple[NeighbourMiner, ...]
    stage: str = "mine_pairs.find"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """How many pairs each miner found goes into the notes."""
        manifest = self.workspace.manifests(JoinJob.stage, [shard.work["joined"]])[0]
        counts = {miner.name: 0 for miner in self.miners}
        found: list[tuple[str, Found]] = []
        for image_id, lists in lists_of(self.workspace, manifest):
            for miner in self.miners:
                found += [(miner.name, one) for one in miner.find(image_id, shortened(lists, miner.views), writer)]
            if len(found) >= _BLOCK:
                _write(found, counts, writer)
                found = []
        _write(found, counts, writer)
        writer.notes["found"] = counts


def _write(found: Sequence[tuple[str, Found]], counts: dict[str, int], writer: ShardWriter) -> None:
    for miner, _ in found:
        counts[miner] += 1
    if found:
        writer.columns("found", found_rows(found))


def shortened(lists: Mapping[str, Neighbours], lengths: Mapping[str, int]) -> Mapping[str, Neighbours]:
    """The lists that a miner wants, as long as it wants them: others may have asked for longer ones."""
    return {
        view: Neighbours(lists[view].ids[:k], lists[view].scores[:k]) for view, k in lengths.items() if view in lists
    }


def found_row(found: Found, miner: str) -> Mapping[str, Any]:
    """A row of `found`."""
    return {
        "query_image_id": found.query_id,
        "target_image_id": found.target_id,
        "miner": miner,
        "score": found.score,
        "why": found.why,
        "negatives": list(found.negatives),
        "query_box": found.query_box,
        "target_box": found.target_box,
    }


def found_rows(found: Sequence[tuple[str, Found]]) -> pa.Table:
    """Rows of `found`, of pairs with the names of their miners."""
    rows = [found_row(one, miner) for miner, one in found]
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in FOUND.schema]
    return pa.table(columns, schema=FOUND.schema)
