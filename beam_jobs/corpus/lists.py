"""Lists of neighbours as columns: written, read and put together without a Python object for each neighbour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.tables import batches
from beam_jobs.workspace import Manifest, Workspace
from mining.miners.interface import Neighbours
from mining.similarity import DECIMALS
from schemas.corpus_tables import NEIGHBOURS

#: Bytes of an image id in a list.
_ID = 32


@dataclass(frozen=True)
class ListColumns:
    """Lists of n images in one view: their ids, the lengths of their lists int64 (n), and one behind the other the
    neighbours, ids uint8 (m, 32) and scores float64 (m) of 4 decimals."""

    image_ids: Sequence[str]
    lengths: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float64]

    def table(self, view: str) -> pa.Table:
        """Rows of `neighbours`."""
        offsets = np.zeros(len(self.lengths) + 1, np.int32)
        np.cumsum(self.lengths, out=offsets[1:])
        places = pa.py_buffer(np.arange(len(self.ids) + 1, dtype=np.int32) * _ID)
        data = pa.py_buffer(np.ascontiguousarray(self.ids))
        ids = pa.BinaryArray.from_buffers(pa.binary(), len(self.ids), [None, places, data])
        columns = [
            pa.array(self.image_ids, pa.string()),
            pa.array([view] * len(self.image_ids), pa.string()),
            pa.ListArray.from_arrays(offsets, ids),
            pa.ListArray.from_arrays(offsets, pa.array(self.scores.astype(np.float32))),
        ]
        return pa.table(columns, schema=NEIGHBOURS.schema)

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> ListColumns:
        """What `table` wrote; scores are rounded anew, since float32 holds fewer digits."""
        found, scored = batch.column("ids"), batch.column("scores")
        lengths = np.diff(found.offsets.to_numpy()).astype(np.int64)
        ids = found.flatten()
        first = ids.offset * _ID
        raw = np.frombuffer(ids.buffers()[2] or b"", np.uint8)[first : first + len(ids) * _ID].reshape(-1, _ID)
        scores = scored.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        return cls(batch.column("image_id").to_pylist(), lengths, raw, np.round(scores, DECIMALS))

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each list begins, and where the last ends, int64 (n + 1)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def slice(self, first: int, last: int) -> ListColumns:
        """The lists of some images."""
        starts = self.starts
        inside = slice(starts[first], starts[last])
        return ListColumns(self.image_ids[first:last], self.lengths[first:last], self.ids[inside], self.scores[inside])

    def neighbours(self) -> list[Neighbours]:
        """The lists as the miners see them."""
        names, scores, starts = self.ids.tobytes().hex(), self.scores.tolist(), self.starts.tolist()
        wide = 2 * _ID
        ids = [names[place : place + wide] for place in range(0, len(names), wide)]
        return [Neighbours(tuple(ids[start:end]), tuple(scores[start:end])) for start, end in pairwise(starts)]


def id_bytes(ids: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Image ids as uint8 (n, 32)."""
    return np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(-1, _ID)


def lists_of(workspace: Workspace, manifest: Manifest) -> Iterator[tuple[str, dict[str, Neighbours]]]:
    """The images of a joined group with their lists by view, sorted by id."""
    for image_id, found in groupby(_lists(workspace, manifest), key=lambda one: one[0]):
        yield image_id, {view: neighbours for _, view, neighbours in found}


def _lists(workspace: Workspace, manifest: Manifest) -> Iterator[tuple[str, str, Neighbours]]:
    for batch in batches(workspace, manifest.files.get("neighbours", ())):
        columns = ListColumns.of(batch)
        yield from zip(columns.image_ids, batch.column("view").to_pylist(), columns.neighbours(), strict=True)


def joined(parts: Sequence[ListColumns], k: int) -> ListColumns:
    """The k nearest of the lists that parts gave for the same images, ties by id."""
    if len(parts) == 1 and (parts[0].lengths <= k).all():
        return parts[0]
    lengths = sum((part.lengths for part in parts[1:]), parts[0].lengths)
    images = np.concatenate([np.repeat(np.arange(len(part.lengths)), part.lengths) for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    ranks = 10**DECIMALS - np.rint(scores * 10**DECIMALS).astype(np.int64)
    words = ids.view(">u8").astype(np.uint64).reshape(-1, _ID // 8)
    order = _sorted(images, ranks, words)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    kept = np.minimum(lengths, k)
    within = np.arange(len(order)) - np.repeat(starts, lengths)
    order = order[within < np.repeat(kept, lengths)]
    return ListColumns(parts[0].image_ids, kept, ids[order], scores[order])


def _sorted(
    images: npt.NDArray[np.int64], ranks: npt.NDArray[np.int64], words: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Order by image, rank and id. One number of 64 bits holds image, rank and the beginning of the id, which tells
    nearly all ids apart; where it does not, all of the id is looked at."""
    bits = max(1, int(images.max(initial=0)).bit_length())
    left = 64 - bits - 15
    keys = (images.astype(np.uint64) << np.uint64(64 - bits)) | (ranks.astype(np.uint64) << np.uint64(left))
    keys |= words[:, 0] >> np.uint64(64 - left)
    order: npt.NDArray[np.int64] = np.argsort(keys, kind="stable")
    if len(order) > 1 and (keys[order][1:] == keys[order][:-1]).any():
        order = np.lexsort((*(words[:, place] for place in range(words.shape[1] - 1, -1, -1)), ranks, images))
    return order


def by_image(views: Mapping[str, Iterator[ListColumns]]) -> Iterator[dict[str, ListColumns]]:
    """Blocks of the lists of several views, each sorted by image, cut so that those of an image come together."""
    waiting: dict[str, ListColumns] = {}
    left = dict(views)
    while True:
        for view in sorted(left):
            if view not in waiting:
                block = next(left[view], None)
                if block is None:
                    del left[view]
                else:
                    waiting[view] = block
        if not waiting:
            return
        # What a view that has not ended shows up to its last image is whole.
        ends = [waiting[view].image_ids[-1] for view in left]
        last = min(ends) if ends else max(one.image_ids[-1] for one in waiting.values())
        block_of: dict[str, ListColumns] = {}
        for view in sorted(waiting):
            one = waiting.pop(view)
            count = int(np.searchsorted(np.array(one.image_ids), last, side="right"))
            if count:
                block_of[view] = one.slice(0, count)
            if count < len(one.image_ids):
                waiting[view] = one.slice(count, len(one.image_ids))
        yield block_of
