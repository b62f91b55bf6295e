"""The quality of a row: the weighted mean of what its columns say, each as a number from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from publishing.selection.columns import numbers
from publishing.selection.config import QualityTerm
from schemas.errors import ConfigurationError

Float64Array = npt.NDArray[np.float64]


def quality(table: pa.Table, terms: Mapping[str, QualityTerm]) -> Float64Array:
    """The quality of each row of a table that has the terms' columns, float64 (n), 0 to 1, rounded to 6 decimals.

    `quality = Σ weight · term / Σ weight`. Raises ConfigurationError for a column that does not fit its term.
    """
    total = sum(one.weight for one in terms.values())
    result = np.zeros(table.num_rows)
    for name in sorted(terms):
        if terms[name].weight:
            result += terms[name].weight / total * term_values(table[name], name, terms[name])
    # Sums of floats differ in their last bits by machine: ties must not.
    return np.asarray(np.round(result, 6), np.float64)


def term_values(values: pa.ChunkedArray, name: str, term: QualityTerm) -> Float64Array:
    """One term of each row, float64 (n), 0 to 1."""
    if term.kind == "values":
        return _by_value(values, name, term)
    found = numbers(values, name)
    known = ~np.isnan(found)
    result = np.full(len(found), term.missing)
    if known.any():
        result[known] = _in_window(found[known], term) if term.kind == "window" else _places(found[known], term.kind)
    return result


def _by_value(values: pa.ChunkedArray, name: str, term: QualityTerm) -> Float64Array:
    if pa.types.is_nested(values.type):
        raise ConfigurationError(f"the column {name} holds {values.type}: a term of quality takes texts or numbers.")
    order = sorted(term.values)
    places = pc.index_in(values.cast(pa.string()), pa.array(order, pa.string()))
    known = np.array([*(term.values[one] for one in order), term.missing])
    return known[np.asarray(pc.fill_null(places, len(order)), np.int64)]


def _places(found: Float64Array, kind: str) -> Float64Array:
    """The share of rows below each number (above, for `low`), half of the equal ones counted: no unit matters."""
    _, inverse, counts = np.unique(found, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    places = (below + counts / 2)[inverse] / len(found)
    return np.asarray(places if kind == "high" else 1 - places, np.float64)


def _in_window(found: Float64Array, term: QualityTerm) -> Float64Array:
    low, high = float(term.min or 0.0), float(term.max or 0.0)
    if term.quantiles:
        low, high = (float(one) for one in np.quantile(found, [low, high]))
    outside = np.maximum(np.maximum(low - found, found - high), 0)
    # A column of one value has a window without width, in which all rows are.
    return np.asarray(np.maximum(1 - outside / (high - low), 0) if high > low else (outside == 0) * 1.0, np.float64)
