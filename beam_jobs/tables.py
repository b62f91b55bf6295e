"""Reading tables by their manifests: rows of a shard, columns of a stage, single rows by location."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs.workspace import DataFile, Manifest, Workspace


def batches(
    workspace: Workspace, files: Iterable[DataFile], columns: Sequence[str] | None = None, rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Record batches of data files in order, never more than one row group in memory."""
    for one in files:
        with workspace.folder.open(one.path) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            yield from parquet.iter_batches(batch_size=rows, columns=list(columns) if columns else None)


def rows(
    workspace: Workspace, manifest: Manifest, table: str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a table that one shard wrote, as dictionaries."""
    for batch in batches(workspace, manifest.files.get(table, ()), columns):
        yield from batch.to_pylist()


def rows_at(
    workspace: Workspace, file: DataFile, wanted: Sequence[int], columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Single rows of a data file by row number (ascending), reading only the row groups that hold them."""
    with workspace.folder.open(file.path) as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
        groups: dict[int, list[int]] = defaultdict(list)
        bounds = []
        start = 0
        for group in range(parquet.num_row_groups):
            size = parquet.metadata.row_group(group).num_rows
            bounds.append((start, start + size))
            start += size
        group = 0
        for row in sorted(set(wanted)):
            while row >= bounds[group][1]:
                group += 1
            groups[group].append(row)
        for group in sorted(groups):
            table = parquet.read_row_group(group, columns=list(columns))
            first = bounds[group][0]
            for row in groups[group]:
                yield row, table.slice(row - first, 1).to_pylist()[0]
