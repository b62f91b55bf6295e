"""Reading annotation files, with errors that name the file, the entry and what is wrong with it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.embeddings import shown
from evaluation.task import IntArray
from schemas.csv_fields import field_limit
from schemas.errors import ConfigurationError

_NAMES = {str: "a string", int: "an integer", list: "a list", dict: "an object"}


def find(root: Path, *names: str) -> Path:
    """The first of `names` below `root` that exists. Raises ConfigurationError that names the first."""
    found = find_optional(root, *names)
    if found is None:
        raise ConfigurationError(f"{root} has no {names[0]}: give the folder as its authors publish it.")
    return found


def find_optional(root: Path, *names: str) -> Path | None:
    """The first of `names` below `root` that exists, or None."""
    return next((root / name for name in names if (root / name).is_file()), None)


def read_text(path: Path) -> str:
    """A UTF-8 file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no UTF-8 text: {error}.") from error


def read_json(path: Path, kind: type) -> Any:
    """A JSON file whose outermost value is a list or an object."""
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON: {error}.") from error
    if not isinstance(found, kind):
        raise ConfigurationError(f"{path} holds no {kind.__name__} at its top.")
    return found


def read_entries(path: Path) -> list[dict[str, Any]]:
    """A JSON list of objects, at least one."""
    entries: list[dict[str, Any]] = read_json(path, list)
    odd = [str(number) for number, entry in enumerate(entries) if not isinstance(entry, dict)]
    if odd or not entries:
        what = f"entries that are no objects: {shown(odd)}" if odd else "no entries"
        raise ConfigurationError(f"{path} holds {what}.")
    return entries


def value(path: Path, number: int | str, entry: Mapping[str, Any], key: str, kind: type) -> Any:
    """One field of an entry, of the kind that the schema says."""
    found = entry.get(key)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ConfigurationError(f"{path}, entry {number}: {key!r} must be {_NAMES[kind]}, it is {found!r}.")
    return found


def values(path: Path, number: int | str, entry: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    """One field of an entry that is a list with members of one kind."""
    found: list[Any] = value(path, number, entry, key, list)
    if not all(isinstance(one, kind) and not isinstance(one, bool) for one in found):
        raise ConfigurationError(f"{path}, entry {number}: every member of {key!r} must be {_NAMES[kind]}.")
    return found


def lines(path: Path) -> list[str]:
    """The lines of a list, without empty ones and without blanks around; each may stand once."""
    found = [line.strip() for line in read_text(path).splitlines()]
    return once(path, [line for line in found if line])


def labelled_lines(path: Path) -> list[tuple[str, int]]:
    """Lines `PATH LABEL`; a path may hold blanks, and stands once."""
    found = []
    for line in lines(path):
        name, _, label = line.rpartition(" ")
        if not name or not label.isdecimal():
            raise ConfigurationError(f"{path}: the line {line!r} is not `PATH LABEL`.")
        found.append((name.strip(), int(label)))
    once(path, [name for name, _ in found])
    return found


def csv_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that has these columns."""
    text = read_text(path)
    with field_limit(len(text) + 1):
        reader = csv.DictReader(text.splitlines())
        missing = [one for one in columns if one not in (reader.fieldnames or ())]
        if missing:
            raise ConfigurationError(f"{path} has no column {shown(missing)}: the columns are {', '.join(columns)}.")
        rows = list(reader)
    short = [str(number) for number, row in enumerate(rows) if any(row[one] is None for one in columns)]
    if short:
        raise ConfigurationError(f"{path}: rows that are cut short: {shown(short)}.")
    return rows


def once(path: Path, ids: Sequence[str]) -> list[str]:
    """The ids; ConfigurationError if one stands twice."""
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = dict.fromkeys(one for one in ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]
        raise ConfigurationError(f"{path} names ids more than once: {shown(twice)}.")
    return list(ids)


class Numbers:
    """Numbers of gallery ids. `of` raises ConfigurationError for ids that the gallery does not hold."""

    def __init__(self, ids: Sequence[str], where: str) -> None:
        self._numbers = {one: number for number, one in enumerate(ids)}
        self._where = where

    def __contains__(self, one: str) -> bool:
        return one in self._numbers

    def of(self, ids: Iterable[str], source: Path) -> IntArray:
        """int64 (n)."""
        wanted = list(ids)
        missing = [one for one in wanted if one not in self._numbers]
        if missing:
            raise ConfigurationError(f"{source} names images that {self._where} does not hold: {shown(missing)}.")
        return np.array([self._numbers[one] for one in wanted], np.int64)


def open_gallery(name: str, held: Sequence[str] | None) -> tuple[str, ...]:
    """The gallery where no file lists one: what the embeddings hold."""
    if held is None:
        raise ConfigurationError(
            f"no file lists the gallery of {name}: add the list, or give --embeddings, whose ids are then the gallery."
        )
    return tuple(held)


def count_notes(counts: Mapping[str, int], published: Mapping[str, int]) -> tuple[str, ...]:
    """What to say where counts differ from those of the published files."""
    return tuple(
        f"{counts[name]} {name}; the published files have {expected}"
        for name, expected in published.items()
        if name in counts and counts[name] != expected
    )
