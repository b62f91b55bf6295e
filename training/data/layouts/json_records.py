"""Records of JSON files, JSON lines or one array, of which a little is held at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from schemas.errors import ConfigurationError
from training.data.layouts.interface import Record

#: Characters of an array that are read at once; an element, or a line, that is longer is no record.
LONGEST = 1 << 20
_SPACE = " \t\r\n"
_BETWEEN = re.compile(r"[\s,]*")
#: Where an object may begin behind a broken one: on a line of its own, or behind another object.
_OBJECT = re.compile(r"(?<=\n)\s*\{|\}\s*,\s*\{")


def json_records(path: Path) -> Iterator[Record]:
    """Records of a file of JSON lines, or of one JSON array where that is what it begins with.

    What is no JSON is a broken record, and reading goes on behind it. Raises ConfigurationError for a file that
    cannot be read.
    """
    try:
        # Bytes that are no UTF-8 become what no text may hold, so that their record alone is broken.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as source:
            start = source.readline(LONGEST)
            while start and not start.strip(_SPACE):
                start = source.readline(LONGEST)
            source.seek(0)
            yield from _Array(path, source).records() if start.lstrip(_SPACE).startswith("[") else _lines(path, source)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}.") from error


def _lines(path: Path, source: TextIO) -> Iterator[Record]:
    number, whole = 0, True
    while line := source.readline(LONGEST):
        begins, whole = whole, line.endswith("\n")
        if not begins:
            continue
        number += 1
        place = f":{number}"
        if not whole and len(line) == LONGEST:
            yield Record(path, place, broken="broken_json")
        elif line.strip(_SPACE):
            value, broken = _value(line)
            yield Record(path, place, value, broken)


def _value(text: str) -> tuple[Any, str | None]:
    try:
        return json.loads(text), None
    except (ValueError, RecursionError):
        return None, "broken_json"


class _Array:
    """One array of records: a window of its text, and where in it the next record begins."""

    def __init__(self, path: Path, source: TextIO) -> None:
        self._path, self._source = path, source
        self._text, self._at, self._line = "", 0, 1
        self._decoder = json.JSONDecoder()

    def records(self) -> Iterator[Record]:
        self._skip()
        self._move(self._at + 1)
        number = 0
        while True:
            self._skip()
            if self._text.startswith("]", self._at):
                return
            number += 1
            place = f":{self._line} (element {number})"
            if self._at == len(self._text):
                # The file ends within the array.
                yield Record(self._path, place, broken="broken_json")
                return
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                yield Record(self._path, place, broken="broken_json")
                self._next_object()
                if self._at == len(self._text):
                    return
            else:
                yield Record(self._path, place, value)
                self._move(end)

    def _fill(self) -> None:
        """Hold at least `LONGEST` characters from here on, or all that are left."""
        if len(self._text) - self._at < LONGEST:
            self._text, self._at = self._text[self._at :] + self._source.read(LONGEST), 0

    def _move(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end
        self._fill()

    def _skip(self) -> None:
        self._fill()
        while True:
            found = _BETWEEN.match(self._text, self._at)
            assert found is not None
            if found.end() == self._at:
                return
            self._move(found.end())

    def _next_object(self) -> None:
        """Behind a broken record: to where the next one may begin."""
        self._move(self._at + 1)
        while self._at < len(self._text):
            found = _OBJECT.search(self._text, self._at)
            if found is not None:
                self._move(found.end() - 1)
                return
            # Part of what is looked for may stand at the window's end.
            self._move(max(self._at + 1, len(self._text) - 64))
