"""The texts of a benchmark's annotation files: every string that reads like a sentence, whatever its key is called."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from schemas.csv_fields import field_limit

#: Ends of the names of files that are read for texts.
ENDS = (".txt", ".json", ".jsonl", ".csv", ".tsv")
#: Fewest words of a sentence: names, paths and ids have fewer.
_FEWEST_WORDS = 3
#: Characters of a longer cell are a file whose quotes do not close.
_LONGEST_FIELD = 1 << 17


class UnreadableTextsError(ValueError):
    """No texts can be had of the file: `reason` is the snake_case reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def sentences(name: str, data: bytes) -> Iterator[str]:
    """The texts of one file, in its order; the end of the name tells the format.

    Of TXT the lines, of CSV and TSV the cells, of JSON and JSON lines the string values, not the keys. Raises
    UnreadableTextsError: `not_utf8`, `not_json`, `not_csv`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableTextsError("not_utf8", str(error)) from error
    try:
        yield from (value.strip() for value in _strings(name.lower(), text) if _is_sentence(value))
    except (ValueError, RecursionError) as error:
        raise UnreadableTextsError("not_json", str(error) or "nested too deeply") from error
    except csv.Error as error:
        raise UnreadableTextsError("not_csv", str(error)) from error


def _strings(name: str, text: str) -> Iterator[str]:
    if name.endswith(".json"):
        yield from _values(json.loads(text))
    elif name.endswith(".jsonl"):
        for line in text.splitlines():
            if line.strip():
                yield from _values(json.loads(line))
    elif name.endswith((".csv", ".tsv")):
        with field_limit(_LONGEST_FIELD):
            table = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t" if name.endswith(".tsv") else ","))
        for row in table:
            yield from row
    else:
        yield from text.splitlines()


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _values(one)


def _is_sentence(value: str) -> bool:
    """Some words with blanks between them, or many signs of a script that has no blanks."""
    if len(value.split()) >= _FEWEST_WORDS:
        return any(sign.isalpha() for sign in value)
    return sum(sign.isalpha() and ord(sign) > 0x0DFF for sign in value) > _FEWEST_WORDS
