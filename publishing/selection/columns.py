"""Columns of triplets by the names that settings of a selection use: those of `ids`, and some that follow from them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from publishing.dataset_reader import row_groups
from publishing.description import Description
from schemas.errors import ConfigurationError
from schemas.storage import Folder

#: Names of what follows from a column: words of the best text, number of texts, host of the page.
_DERIVED = {"words": "instruction", "texts": "instructions", "host": "page_url"}
_IDS = ("triplet_id", "query_image_id", "target_image_id")


def source_of(name: str, schema: pa.Schema) -> str:
    """The column of the files from which a named one follows: `instructions.KEY` is that key of the best text. Raises
    ConfigurationError for a name that the dataset does not have."""
    if name in schema.names:
        return name
    head, _, key = name.partition(".")
    if key and head in schema.names and key in _keys(schema.field(head).type):
        return head
    if name in _DERIVED and _DERIVED[name] in schema.names:
        return _DERIVED[name]
    raise ConfigurationError(
        f"the dataset has no column {name!r}: name one of {', '.join(schema.names)}, instructions.KEY, words, texts or "
        "host."
    )


def column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A named column of a table that holds its source."""
    if name in table.column_names:
        return table[name]
    if name == "words":
        return pc.count_substring_regex(table["instruction"], r"\S+")
    if name == "texts":
        return pc.fill_null(pc.list_value_length(table["instructions"]), 0)
    if name == "host":
        hosts = [None if one is None else _host(one) for one in table["page_url"].to_pylist()]
        return pa.chunked_array([pa.array(hosts, pa.string())])
    head, _, key = name.partition(".")
    return pa.chunked_array([_of_first(table[head], key)])


def read_rows(folder: Folder, about: Description, names: Iterable[str], split: str = "train") -> pa.Table:
    """`triplet_id`, `query_image_id`, `target_image_id` and the named columns of a split, sorted by `triplet_id`: the
    order of the files changes nothing. Raises ConfigurationError for unknown names.

    Texts and lists from which columns follow are in memory a row group at a time.
    """
    names = list(dict.fromkeys([*_IDS, *names]))
    parts = []
    for file in about.of("ids", split):
        with folder.open(file.name) as source:
            schema = pa.parquet.read_schema(source)
        sources = list(dict.fromkeys(source_of(one, schema) for one in names))
        groups = row_groups(folder, file, sources)
        parts += [pa.table({one: column(group, one) for one in names}) for group in groups]
    if not parts:
        return pa.table({one: pa.array([], pa.string()) for one in names})
    return pa.concat_tables(parts, promote_options="permissive").combine_chunks().sort_by("triplet_id")


def numbers(values: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
    """A column of numbers, float64 (n), NaN where there is none. Raises ConfigurationError for other columns."""
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        raise ConfigurationError(f"the column {name} holds {values.type}, no numbers: use `kind: values` for it.")
    return np.asarray(values.cast(pa.float64()).to_numpy(), np.float64)


def codes(values: pa.ChunkedArray, name: str) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct values of a column, sorted, and those of each row as numbers: row `i` has
    `codes[starts[i] : starts[i + 1]]`, none where it is null, several where it is a list."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_list(array.type):
        lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0), np.int64)
        array = array.flatten()
    else:
        lengths = np.ones(len(array), np.int64)
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        raise ConfigurationError(f"the column {name} holds {values.type}: name a column of texts, numbers or lists.")
    texts = array.cast(pa.string())
    valid = np.asarray(texts.is_valid(), bool)
    owners = np.repeat(np.arange(len(lengths)), lengths)[valid]
    found = texts.drop_null()
    distinct = sorted(found.unique().to_pylist())
    numbered = np.asarray(pc.index_in(found, pa.array(distinct, pa.string())), np.int64)
    # A list may name a value twice.
    pairs = np.unique(np.stack([owners, numbered]), axis=1) if len(owners) else np.zeros((2, 0), np.int64)
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.bincount(pairs[0], minlength=len(lengths)), out=starts[1:])
    return distinct, starts, pairs[1].astype(np.int64)


def _keys(kind: pa.DataType) -> list[str]:
    value = getattr(kind, "value_type", None)
    return [one.name for one in value] if value is not None and pa.types.is_struct(value) else []


def _of_first(lists: pa.ChunkedArray, key: str) -> pa.Array:
    """A key of the first struct of each list; null where there is none."""
    parts = []
    for chunk in lists.chunks:
        lengths = pc.fill_null(pc.list_value_length(chunk), 0)
        first = pc.if_else(pc.greater(lengths, 0), chunk.offsets[:-1], None)
        parts.append(chunk.values.field(key).take(first))
    kind = lists.type.value_type.field(key).type
    return pa.concat_arrays(parts) if parts else pa.array([], kind)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).netloc.lower() or None
    except ValueError:
        return None
