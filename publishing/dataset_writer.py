"""Writes one parquet file of a published configuration from rows, with memory bounded by a row group.

Equal rows give equal bytes: settings are pinned, and nothing of the clock or the machine enters a file. An image that
several rows of a row group show is stored once in it, as an entry of the column's dictionary.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from publishing.config import PublishConfig
from publishing.digesting import DigestingSink
from publishing.image_names import image_name
from schemas.ids import image_id as image_hash
from schemas.published import IMAGE, Configuration
from schemas.storage import PARQUET, Folder

#: Image ids → their files; a missing id is an error of the caller's tables.
Fetch = Callable[[Sequence[str]], Mapping[str, bytes]]

#: Rows whose images are asked for together.
_FETCH_ROWS = 32
#: Which id column an image column goes by.
_IMAGE_IDS = {"query_image": "query_image_id", "target_image": "target_image_id", "image": "image_id"}
#: A dictionary never falls back to plain pages: row groups are small, so that this is a bound and no cost.
_DICTIONARY_LIMIT = 1 << 30
#: Bytes that are handed to the file at once.
_BLOCK = 1 << 20
_DICTIONARY_IMAGE = pa.struct([(field.name, pa.dictionary(pa.int32(), field.type)) for field in IMAGE])


@dataclass(frozen=True)
class WrittenFile:
    """One finished parquet file: its name in the folder, rows, size in bytes, hex SHA-256 of its bytes, and rows whose
    image had faces blurred (`images` alone)."""

    name: str
    rows: int
    bytes: int
    digest: str
    blurred: int = 0


def sort_key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """The order of triplets in a file: rows that show the same query image stand together, and so share its bytes."""
    return row["page_id"], row["query_image_id"], row["triplet_id"]


def writer_settings(configuration: Configuration) -> dict[str, Any]:
    """Keyword arguments of `pyarrow.parquet.ParquetWriter` for a configuration.

    Image files are compressed already, so their column is stored as it is; a dictionary is kept where images repeat
    (`images` holds each once). Statistics of image bytes would only copy images into the footer.
    """
    leaves = _leaves(configuration.schema)
    images = {f"{column}.bytes" for column in configuration.image_columns}
    dictionary = [leaf for leaf in leaves if leaf not in images or configuration.name != "images"]
    if configuration.name == "images":
        dictionary = [leaf for leaf in dictionary if leaf not in {"image_id", "image.path", "url"}]
    return PARQUET | {
        "compression": {leaf: "none" if leaf in images else "zstd" for leaf in leaves},
        "compression_level": {leaf: PARQUET["compression_level"] for leaf in leaves if leaf not in images},
        "use_dictionary": dictionary,
        "dictionary_pagesize_limit": _DICTIONARY_LIMIT,
        "write_statistics": [leaf for leaf in leaves if leaf not in images],
    }


def write_file(
    folder: Folder,
    name: str,
    configuration: Configuration,
    rows: Iterable[Mapping[str, Any]],
    fetch: Fetch | None = None,
    config: PublishConfig | None = None,
) -> WrittenFile:
    """Write `rows` in their order as `folder/name`; no rows give a file that holds the schema only.

    A row is a mapping with the configuration's columns but for image columns, whose files come from `fetch` by
    `query_image_id`, `target_image_id` or `image_id`; other keys are ignored, missing ones are null. `blurred`
    follows from the files: an id is the hash of the original. Nothing is left
    behind if `rows` or `fetch` raises. Raises KeyError where `fetch` does not give an image.
    """
    if configuration.image_columns and fetch is None:
        raise ValueError(f"{configuration.name} has images: it needs `fetch`")
    groups = _row_groups(configuration, rows, fetch, config or PublishConfig())
    return write_tables(folder, name, configuration, groups)


def write_tables(folder: Folder, name: str, configuration: Configuration, groups: Iterable[pa.Table]) -> WrittenFile:
    """Write Arrow tables of the configuration's schema as `folder/name`, each as one row group.

    Image columns may come as they are read, or as structs of Arrow dictionaries.
    """
    schema = _stored_schema(configuration)
    # Written by hand: `store_schema` would tell readers of the dictionaries below, which are no part of the schema.
    metadata = {**configuration.schema.metadata, "ARROW:schema": base64.b64encode(configuration.schema.serialize())}
    settings = writer_settings(configuration) | {"store_schema": False}
    count = blurred = 0
    try:
        with (
            DigestingSink(folder.open(name, "wb")) as sink,
            pa.BufferedOutputStream(pa.PythonFile(sink, mode="w"), buffer_size=_BLOCK) as blocks,
            pq.ParquetWriter(blocks, schema.remove_metadata(), **settings) as writer,
        ):
            writer.add_key_value_metadata(metadata)
            for group in groups:
                writer.write_table(_stored(group, schema), row_group_size=max(1, group.num_rows))
                count += group.num_rows
                if "blurred" in group.column_names:
                    blurred += sum(one is True for one in group["blurred"].to_pylist())
    except BaseException:
        folder.remove(name)
        raise
    return WrittenFile(name, count, sink.size, sink.digest, blurred)


def _stored_schema(configuration: Configuration) -> pa.Schema:
    """The schema as the parquet writer gets it: images that repeat come as Arrow dictionaries, which it stores as they
    are, without hashing every image again and without an expanded copy in memory."""
    repeating = set() if configuration.name == "images" else set(configuration.image_columns)
    return pa.schema(
        [field.with_type(_DICTIONARY_IMAGE) if field.name in repeating else field for field in configuration.schema]
    )


def _stored(group: pa.Table, schema: pa.Schema) -> pa.Table:
    """A row group with the columns' types as `_stored_schema` has them."""
    columns = []
    for field, column in zip(schema, group.columns, strict=True):
        if column.type == field.type:
            columns.append(column)
        else:
            struct = column.combine_chunks()
            parts = [struct.field(i).dictionary_encode() for i in range(struct.type.num_fields)]
            columns.append(pa.StructArray.from_arrays(parts, fields=list(field.type)))
    return pa.Table.from_arrays(columns, schema=schema.remove_metadata())


def _row_groups(
    configuration: Configuration, rows: Iterable[Mapping[str, Any]], fetch: Fetch | None, config: PublishConfig
) -> Iterator[pa.Table]:
    group = _RowGroup(configuration, config.blur_faces != "none")
    for batch in _batches(rows, _FETCH_ROWS):
        found = dict(group.files)
        wanted = sorted({row[_IMAGE_IDS[column]] for row in batch for column in configuration.image_columns})
        missing = [one for one in wanted if one not in found]
        if missing and fetch is not None:
            found.update(fetch(missing))
        for row in batch:
            cost = group.cost(row, found)
            if group.rows and group.bytes + cost > config.row_group_max_bytes:
                yield group.close()
                cost = group.cost(row, found)
            group.add(row, cost, found)
            if group.bytes >= config.row_group_min_bytes or len(group.rows) >= config.row_group_rows:
                yield group.close()
    if group.rows:
        yield group.close()


class _RowGroup:
    """Rows on their way to one row group, with the images that they show, and the bytes that will be stored."""

    def __init__(self, configuration: Configuration, blurring: bool) -> None:
        self._configuration, self._blurring = configuration, blurring
        self._schema = _stored_schema(configuration)
        self.rows: list[Mapping[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.bytes = 0
        self._stored: set[tuple[str, str]] = set()

    def cost(self, row: Mapping[str, Any], files: Mapping[str, bytes]) -> int:
        """Bytes that a row adds: its texts, and the images that are not in the group's dictionaries yet."""
        size = 64 + sum(len(value) for value in row.values() if type(value) is str)
        for column in self._configuration.image_columns:
            image_id = row[_IMAGE_IDS[column]]
            if (column, image_id) not in self._stored:
                size += len(files[image_id])
        return size

    def add(self, row: Mapping[str, Any], cost: int, files: Mapping[str, bytes]) -> None:
        """Take a row that adds `cost` bytes."""
        self.bytes += cost
        for column in self._configuration.image_columns:
            image_id = row[_IMAGE_IDS[column]]
            self._stored.add((column, image_id))
            self.files[image_id] = files[image_id]
        self.rows.append(row)

    def close(self) -> pa.Table:
        """The Arrow table of the rows; the group is empty afterwards."""
        arrays = [self._column(field) for field in self._schema]
        self.rows, self.files, self.bytes, self._stored = [], {}, 0, set()
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _column(self, field: pa.Field) -> pa.Array:
        if field.name == "blurred":
            changed = [self._blurring and image_hash(self.files[one]) != one for one in self._ids("image")]
            return pa.array(changed, field.type)
        if field.name not in self._configuration.image_columns:
            return pa.array([row.get(field.name) for row in self.rows], field.type)
        ids = self._ids(field.name)
        places = {image_id: place for place, image_id in enumerate(dict.fromkeys(ids))}
        files = _binary([self.files[image_id] for image_id in places])
        names = pa.array([image_name(image_id, self.files[image_id]) for image_id in places], pa.string())
        if field.type == IMAGE:
            return pa.StructArray.from_arrays([files, names], fields=list(IMAGE))
        indices = pa.array([places[image_id] for image_id in ids], pa.int32())
        parts = [pa.DictionaryArray.from_arrays(indices, values) for values in (files, names)]
        return pa.StructArray.from_arrays(parts, fields=list(_DICTIONARY_IMAGE))

    def _ids(self, column: str) -> list[str]:
        return [row[_IMAGE_IDS[column]] for row in self.rows]


def _binary(values: list[bytes]) -> pa.Array:
    """`pa.array(values, pa.binary())` with one copy of the bytes instead of a builder's repeated ones."""
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    )


def _batches(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of the parquet leaves, as `use_dictionary` and `compression` take them."""
    return [leaf for field in schema for leaf in _field_leaves(field.name, field.type)]


def _field_leaves(path: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_struct(kind):
        children = [kind.field(i) for i in range(kind.num_fields)]
        return [leaf for child in children for leaf in _field_leaves(f"{path}.{child.name}", child.type)]
    if pa.types.is_list(kind):
        return _field_leaves(f"{path}.list.element", kind.value_type)
    return [path]
