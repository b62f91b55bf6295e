"""Reads the places that stand for the images which a source names: from row groups, as columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs.corpus.images import PagesShard, located_places
from beam_jobs.index_step import Answers
from beam_jobs.workspace import Workspace
from mining.place_columns import PlaceColumns
from schemas.crawl_tables import ELIGIBLE, SEARCHED

_COLUMNS = [name for name in ELIGIBLE.schema.names if name not in SEARCHED]


def read_places(
    workspace: Workspace, shards: Sequence[PagesShard], answers: Answers | None, wanted: Collection[str] | None = None
) -> PlaceColumns:
    """The rows of `eligible` that answers of `CorpusPlaces` name; of `wanted` images, None is all."""
    return PlaceColumns.of(_tables(workspace, shards, answers, wanted))


def _tables(
    workspace: Workspace, shards: Sequence[PagesShard], answers: Answers | None, wanted: Collection[str] | None
) -> Iterator[pa.Table]:
    files: dict[tuple[int, int], list[int]] = defaultdict(list)
    for image_id, place in located_places(workspace, answers):
        if wanted is None or image_id in wanted:
            shard, file, row = place
            files[shard, file].append(row)
    for (number, file), found in sorted(files.items()):
        data = shards[number].manifest(workspace).files["eligible"][file]
        rows = np.array(sorted(found))
        with workspace.folder.open(data.path) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            first = 0
            for group in range(parquet.num_row_groups):
                size = parquet.metadata.row_group(group).num_rows
                inside = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + size)] - first
                first += size
                if len(inside):
                    table = parquet.read_row_group(group, columns=_COLUMNS)
                    yield table.take(pa.array(inside))
