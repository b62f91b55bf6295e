"""The columns of triplets that training reads, which rows settings want, and which texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import ConfigurationError
from training.config import DataConfig, TextsConfig
from training.data.parquet_files import Location, open_parquet

Mask = npt.NDArray[np.bool_]

#: Columns that a dataset must have, and those that are read where they are there.
REQUIRED = ("triplet_id", "query_image_id", "target_image_id", "instruction")
OPTIONAL = ("instructions", "hard_negatives", "page_id", "query_text", "target_text")


def texts_of(row: Mapping[str, Any], config: TextsConfig) -> tuple[str, ...]:
    """The texts of a row that the settings take, the best (`instruction`) first. A row without it has none."""
    best = row.get("instruction")
    if not best:
        return ()
    found = [
        one["text"]
        for one in row.get("instructions") or ()
        if one and all(str(one.get(name)) in values for name, values in config.only.items())
    ]
    first = [best] if not config.only or best in found else []
    return tuple(dict.fromkeys(one for one in (*first, *found) if one))


def columns_of(files: Sequence[Location], config: DataConfig) -> list[str]:
    """Columns that are read, all that any file has. Raises ConfigurationError for files without what is needed."""
    if not files:
        raise ConfigurationError(f"the dataset has no split {config.split!r}: name one that it has with data.split.")
    found: dict[str, None] = dict.fromkeys(REQUIRED)
    for path in files:
        with open_parquet(path) as parquet:
            schema = parquet.schema_arrow
        names = schema.names
        missing = [one for one in REQUIRED if one not in names]
        if missing:
            raise ConfigurationError(
                f"{path} has no column {', '.join(missing)}: training reads {', '.join(REQUIRED)} of every triplet."
            )
        unknown = [one for one in config.where if one not in names]
        if unknown:
            raise ConfigurationError(f"data.where names {unknown[0]!r}, which is no column of {path}.")
        _check_kinds(path, schema)
        _check_texts(path, schema, config.texts)
        found |= dict.fromkeys(one for one in (*OPTIONAL, *config.where) if one in names)
    return list(found)


def _check_kinds(path: Location, schema: pa.Schema) -> None:
    """Raise ConfigurationError for columns of ids and texts that hold something else."""
    for name in (*REQUIRED, *OPTIONAL):
        if name not in schema.names or name == "instructions":
            continue
        kind = schema.field(name).type
        listed = name == "hard_negatives"
        value = getattr(kind, "value_type", kind) if listed or pa.types.is_dictionary(kind) else kind
        fits = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
        if not (fits and (value is not kind or not listed)) and not pa.types.is_null(value):
            what = "lists of image ids" if listed else "texts"
            raise ConfigurationError(f"the column {name} of {path} is {kind}: it must hold {what}.")


def _check_texts(path: Location, schema: pa.Schema, config: TextsConfig) -> None:
    """Raise ConfigurationError for a column `instructions` that is no list of texts, or lacks what `only` names."""
    if "instructions" not in schema.names:
        if config.only:
            raise ConfigurationError(f"data.texts.only needs the column instructions, which {path} does not have.")
        return
    kind = schema.field("instructions").type
    value = getattr(kind, "value_type", None)
    fields = [one.name for one in value] if value is not None and pa.types.is_struct(value) else []
    if pa.types.is_null(kind if value is None else value):
        # A file none of whose rows has a list of texts.
        return
    if "text" not in fields:
        raise ConfigurationError(
            f"the column instructions of {path} is {kind}: it must be a list of objects with a text."
        )
    for name in config.only:
        if name not in fields:
            raise ConfigurationError(
                f"data.texts.only names {name!r}, which the instructions of {path} do not have: they have "
                f"{', '.join(fields)}."
            )


def matching(column: pa.ChunkedArray, name: str, wanted: Any) -> Mask:
    """Which rows have what is wanted: one of a list, the value itself, a number within {min, max}; of names joined by
    "+" (`mining`) one of {names}, or any but those of {without}."""
    if isinstance(wanted, Mapping) and set(wanted) in ({"names"}, {"without"}):
        return _named(column, name, wanted)
    if isinstance(wanted, Mapping) and (unknown := set(wanted) - {"min", "max"}):
        raise ConfigurationError(
            f"data.where.{name} has {min(map(str, unknown))!r}: a window has min and max, names joined by + are chosen "
            "by names or without."
        )
    values = wanted if isinstance(wanted, list) else [wanted]
    if pa.types.is_null(column.type):
        return np.full(len(column), None in values)
    try:
        if isinstance(wanted, Mapping):
            mask = pa.array(np.ones(len(column), bool))
            for bound, compare in (("min", pc.greater_equal), ("max", pc.less_equal)):
                if bound in wanted:
                    mask = pc.and_(mask, pc.fill_null(compare(column, _bound(wanted[bound], column.type)), False))
        else:
            mask = pc.is_in(column, pa.array(values, column.type))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"data.where.{name} is {wanted!r}, which cannot be compared with the column ({column.type})."
        ) from error
    return np.asarray(mask, dtype=bool)


def _named(column: pa.ChunkedArray, name: str, wanted: Mapping[str, Any]) -> Mask:
    """Rows with one of some names, or rows that still have a name when some are taken away."""
    ((kind, given),) = wanted.items()
    if not isinstance(given, list) or not (pa.types.is_string(column.type) or pa.types.is_null(column.type)):
        raise ConfigurationError(f"data.where.{name}.{kind} must be a list of names, of a column of texts.")
    names = frozenset(given)
    distinct = {one: frozenset(one.split("+")) for one in column.unique().to_pylist() if one}
    fits = {one: bool(found & names if kind == "names" else found - names) for one, found in distinct.items()}
    return np.fromiter((fits.get(one, False) for one in column.to_pylist()), bool, len(column))


def _bound(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A bound as the column writes numbers: 0.8 of float32 is a little more than 0.8, and is within a `max` of 0.8."""
    return pa.scalar(value, kind) if pa.types.is_floating(kind) else pa.scalar(value)
