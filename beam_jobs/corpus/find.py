"""Job `mine_pairs.find`: a group's lists of neighbours to pairs of ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from beam_jobs.corpus.search import JoinJob, lists_of
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from mining.miners.interface import Found, NeighbourMiner, Neighbours

VERSION = "2"


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
        for image_id, lists in lists_of(self.workspace, manifest):
            for miner in self.miners:
                for found in miner.find(image_id, shortened(lists, miner.views), writer):
                    counts[miner.name] += 1
                    writer.row("found", found_row(found, miner.name))
        writer.notes["found"] = counts


def shortened(lists: Mapping[str, Neighbours], lengths: Mapping[str, int]) -> Mapping[str, Neighbours]:
    """The lists that a miner wants, as long as it wants them: others may have asked for longer ones."""
    return {
        view: Neighbours(lists[view].ids[:k], lists[view].scores[:k]) for view, k in lengths.items() if view in lists
    }


def found_row(found: Found, miner: str) -> Mapping[str, Any]:
    """A row of `found`."""
    row = asdict(found)
    return {
        "query_image_id": row.pop("query_id"),
        "target_image_id": row.pop("target_id"),
        "miner": miner,
        **row,
        "negatives": list(found.negatives),
    }
