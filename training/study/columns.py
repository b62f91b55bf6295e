"""Runs by a column of the triplets: one for each of its values, or for each window of its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.open_dataset import OpenDataset
from training.data.triplet_table import TripletTable
from training.study.runs import ALL, StudyRun, changed_run

#: A study of more values would train for days, and is most likely meant for another column.
MOST = 24
NONE = "(none)"
_TEXTS = "instructions"
#: Names of several miners may stand in it, joined by +.
MINING = "mining"


def column_runs(
    settings: Mapping[str, Any], opened: OpenDataset, column: str, windows: int, leave_out: bool = False
) -> list[StudyRun]:
    """A run for each value of a column, the most frequent first, or for each of `windows` windows of its numbers; and
    one of all rows. Of `mining` each miner is a value, alone or among others; with `leave_out` there is also a run of
    what is left without each.

    Raises ConfigurationError for an unknown column, one of lists, one with fewer than two values or more than `MOST`.
    """
    if leave_out and column != MINING:
        raise ConfigurationError(f"--leave-out goes with --by {MINING}: it leaves out what one miner alone found.")
    table, key = _table(settings, opened, column)
    values = list(_texts_values(table, key) if key else _values(table, column))
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    counts = Counter(values)
    if column == MINING:
        changes = _miners(counts, leave_out)
    elif numbers and len(numbers) == len([one for one in values if one is not None]) and len(set(numbers)) > windows:
        changes = _windows(column, np.array(numbers, np.float64), windows)
    else:
        changes = _each(column, key, counts)
    if len(changes) < 2:
        raise ConfigurationError(
            f"--by {column} has fewer than two values in the rows that are used: name another column, or compare "
            "runs of your own with --runs."
        )
    runs = [changed_run(settings, name, {"data": change}) for name, change in changes.items()]
    return [*runs, changed_run(settings, ALL, {})]


def _table(settings: Mapping[str, Any], opened: OpenDataset, column: str) -> tuple[TripletTable, str | None]:
    """The rows that the settings keep, with the column; and the key within `instructions`."""
    data = train_config(settings).data
    head, _, key = column.partition(".")
    if key and head == _TEXTS:
        return TripletTable(opened.files, data, opened.images.numbers), key
    if column not in data.where:
        # Any value: what it is for is that the column is read.
        data = data.model_copy(update={"where": {**data.where, column: {}}})
    try:
        return TripletTable(opened.files, data, opened.images.numbers), None
    except ConfigurationError as error:
        raise ConfigurationError(f"--by {column}: {error} --by takes a column, or instructions.KEY.") from error


def _values(table: TripletTable, column: str) -> Iterator[Any]:
    for number in range(len(table)):
        found = table.window(number).table[column]
        if pa.types.is_nested(found.type) or pa.types.is_temporal(found.type) or pa.types.is_binary(found.type):
            raise ConfigurationError(
                f"--by {column}: the column holds {found.type}, and runs are made by texts, numbers and truth values."
            )
        for value in found.to_pylist():
            yield from value.split("+") if column == MINING and value else (value,)


def _texts_values(table: TripletTable, key: str) -> Iterator[Any]:
    """Each value once a row."""
    known: set[str] = set()
    for number in range(len(table)):
        for texts in table.window(number).table.column(_TEXTS).to_pylist():
            known.update(*(one.keys() for one in texts or ()))
            yield from {None if one.get(key) is None else str(one[key]): 0 for one in texts or ()}
    if key not in known:
        raise ConfigurationError(f"--by {_TEXTS}.{key}: texts have {', '.join(sorted(known)) or 'no keys'}.")


def _each(column: str, key: str | None, counts: Counter[Any]) -> dict[str, dict[str, Any]]:
    if len(counts) > MOST:
        raise ConfigurationError(
            f"--by {column} has {len(counts)} values, and a study takes at most {MOST}: leave some out with data.where "
            "in --config, or name runs with --runs."
        )
    found: dict[str, dict[str, Any]] = {}
    for value in sorted(counts, key=lambda one: (-counts[one], str(one))):
        name = NONE if value is None else str(value)
        # Values of texts are compared as they are written.
        wanted = {"texts": {"only": {key: [str(value)]}}} if key else {"where": {column: [value]}}
        found[f"{column} {name}" if name == ALL or name in found else name] = wanted
    return found


def _miners(counts: Counter[Any], leave_out: bool) -> dict[str, dict[str, Any]]:
    """A run for each miner's pairs, and for those that are left without it."""
    names = sorted((one for one in counts if one), key=lambda one: (-counts[one], one))
    found: dict[str, dict[str, Any]] = {name: {"where": {MINING: {"names": [name]}}} for name in names}
    if leave_out and len(names) > 1:
        found |= {f"{ALL} but {name}": {"where": {MINING: {"without": [name]}}} for name in names}
    return found


def _windows(column: str, numbers: Any, count: int) -> dict[str, dict[str, Any]]:
    """Windows between quantiles, each with its lower edge and without its upper one, the last with both."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, count + 1)))
    digits = next(one for one in range(3, 18) if len({f"{edge:.{one}g}" for edge in edges}) == len(edges))
    found: dict[str, dict[str, Any]] = {}
    for number, (low, high) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        most = float(high if last else np.nextafter(high, -np.inf))
        name = f"{low:.{digits}g} to {'' if last else 'below '}{high:.{digits}g}"
        found[name] = {"where": {column: {"min": float(low), "max": most}}}
    return found
