"""The places that stand for images, as columns: a million of them take little more than their features do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mining.similarity import DECIMALS
from schemas.crawl_tables import ELIGIBLE, SEARCHED

_FEATURES = ("sketch", "embedding")
#: Columns of `eligible` that are kept as they are stored.
_PLAIN = [name for name in ELIGIBLE.schema.names if name not in (*_FEATURES, *SEARCHED)]


@dataclass(frozen=True)
class PlaceColumns:
    """Rows of `eligible`, one for each image (n), sorted by image: features as arrays, the rest as they are stored.

    `rows` lacks the columns of features and what only a search reads; `sketches` int8 (n, s); of the m that have a text
    `embeddings` float16 (m, t), and `texted` int64 (n) says where, -1 for none."""

    rows: pa.Table
    sketches: npt.NDArray[np.int8]
    embeddings: npt.NDArray[np.float16]
    texted: npt.NDArray[np.int64]

    @classmethod
    def of(cls, tables: Iterable[pa.Table]) -> PlaceColumns:
        """Of tables of `eligible` without a common image. Raises ValueError if sketches differ in length."""
        rows = [ELIGIBLE.schema.empty_table().select(_PLAIN)]
        sketches, embeddings, present = [], [], []
        for table in tables:
            # A table's features leave its memory before the next one is read.
            sketches.append(sketch_rows(table.column("sketch")))
            vectors, there = _embedding_rows(table.column("embedding"))
            embeddings.append(vectors)
            present.append(there)
            rows.append(table.select(_PLAIN))
        filled = [one for one in sketches if len(one)]
        if len({one.shape[1] for one in filled}) > 1:
            raise ValueError("sketches of several lengths cannot be compared")
        texts = [one for one in embeddings if len(one)]
        joined = pa.concat_tables(rows)
        order = np.argsort(np.array(joined.column("image_id").to_pylist(), "S64"), kind="stable")
        there = np.concatenate(present) if present else np.zeros(0, bool)
        texted = np.where(there, np.cumsum(there) - 1, -1)
        return cls(
            joined.take(pa.array(order)).combine_chunks(),
            np.concatenate(filled)[order] if filled else np.zeros((0, 0), np.int8),
            np.concatenate(texts) if texts else np.zeros((0, 0), np.float16),
            texted[order],
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Image id → its row."""
        return {image_id: row for row, image_id in enumerate(self.rows.column("image_id").to_pylist())}

    @cached_property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """Perceptual hashes, uint64 (n)."""
        return np.array([int(one, 16) for one in self.rows.column("phash").to_pylist()], np.uint64)

    @cached_property
    def lengths(self) -> npt.NDArray[np.float64]:
        """Lengths of the sketches, float64 (n)."""
        found = np.zeros(len(self.sketches), np.float64)
        for first in range(0, len(found), 1 << 14):
            wide = self.sketches[first : first + (1 << 14)].astype(np.float64)
            found[first : first + (1 << 14)] = np.sqrt(np.sum(wide**2, axis=1))
        return found

    def places(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Rows of images, -1 for those that are not here."""
        index = self.index
        return np.fromiter((index.get(one, -1) for one in ids), np.int64, len(ids))

    def cosines(self, ones: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Cosines of sketches of rows (n) with others (n), rounded, as `mining.similarity.cosines` has them."""
        products = np.einsum("ij,ij->i", self.sketches[ones].astype(np.float32), self.sketches[others])
        lengths = self.lengths[ones] * self.lengths[others]
        return np.round(products.astype(np.float64) / np.where(lengths > 0, lengths, 1.0), DECIMALS)

    def text_cosines(self, ones: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Cosines of texts of rows (n) with others (n), rounded; NaN where a text is missing."""
        found = np.full(len(ones), np.nan)
        both = np.flatnonzero((self.texted[ones] >= 0) & (self.texted[others] >= 0))
        if len(both):
            first, second = (self._unit(self.texted[rows[both]]) for rows in (ones, others))
            found[both] = np.round(np.einsum("ij,ij->i", first, second), DECIMALS)
        return found

    def taken(self, rows: npt.NDArray[np.int64]) -> pa.Table:
        """Some rows with all columns of `eligible`; what only a search reads is null."""
        plain = self.rows.take(pa.array(rows))
        data = pa.py_buffer(np.ascontiguousarray(self.sketches[rows]))
        size = self.sketches.shape[1]
        offsets = pa.py_buffer(np.arange(len(rows) + 1, dtype=np.int32) * size)
        sketches = pa.BinaryArray.from_buffers(pa.binary(), len(rows), [None, offsets, data])
        where = self.texted[rows]
        there, dimension = where >= 0, self.embeddings.shape[1]
        starts = np.concatenate([[0], np.cumsum(there)]).astype(np.int32) * dimension
        values = pa.array(self.embeddings[where[there]].reshape(-1))
        embeddings = pa.ListArray.from_arrays(pa.array(starts), values, mask=pa.array(~there))
        columns = {"sketch": sketches, "embedding": embeddings} | {name: plain[name] for name in _PLAIN}
        nulls = pa.nulls(len(rows), pa.binary())
        return pa.table({name: columns.get(name, nulls) for name in ELIGIBLE.schema.names})

    def _unit(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        wide = self.embeddings[rows].astype(np.float64)
        return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def unsearched(rows: pa.Table) -> pa.Table:
    """Rows of `eligible` as they stand beside pairs: what only a search reads is null."""
    for name in SEARCHED:
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), pa.binary()))
    return rows


def sketch_rows(column: pa.ChunkedArray) -> npt.NDArray[np.int8]:
    """A column of sketches of one length as int8 (n, s). Raises ValueError if their lengths differ."""
    parts = []
    for chunk in column.chunks:
        if len(chunk):
            bounds = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            size = int(bounds[1] - bounds[0])
            if (np.diff(bounds) != size).any():
                raise ValueError("sketches of several lengths cannot be compared")
            data = np.frombuffer(chunk.buffers()[2] or b"", np.int8)[bounds[0] : bounds[-1]]
            parts.append(data.reshape(len(chunk), size))
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.int8)


def _embedding_rows(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
    """The embeddings that are there, float16 (m, t), and where, bool (n)."""
    there = column.is_valid().to_numpy()
    filled = column.drop_null().combine_chunks()
    values = filled.flatten().to_numpy(zero_copy_only=False).astype(np.float16)
    count = int(there.sum())
    return values.reshape(count, -1) if count else np.zeros((0, 0), np.float16), there
