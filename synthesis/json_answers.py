"""Reading what models answer: JSON among prose, fences and thoughts, or a plain text with the same around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from synthesis.words import one_line

_THOUGHT = re.compile(r"<(think|thinking|thought)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
#: The end of a thought whose beginning stood in the chat template.
_OPEN_THOUGHT = re.compile(r"\A.*</(?:think|thinking|thought)>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\A```[\w-]*\s*\n?(.*?)\n?```\Z", re.DOTALL)
_LABEL = re.compile(
    r"\A(?:(?:final|revised|detailed|edited|target)\s+)?(?:answer|caption|description|instruction|text)s?\s*:\s*",
    re.IGNORECASE,
)
QUOTES = "\"'“”„«»` "
#: Places in an answer where a value may begin that are tried, at most.
_TRIES = 50


class UnparsableError(ValueError):
    """An answer that is not what the step asked for."""


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON schema of an object that has all of these properties, in this order, and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def without_thoughts(text: str) -> str:
    """An answer without what a reasoning model thought before it."""
    return _OPEN_THOUGHT.sub("", _THOUGHT.sub(" ", text)).strip()


def json_object(text: str, *keys: str) -> dict[str, Any]:
    """The first JSON object in an answer that has all `keys`; the first at all where none are named.

    Fenced or bare, among prose, behind a thought; of objects in objects the outer one. Raises UnparsableError.
    """
    for data in _objects(without_thoughts(text)):
        if all(key in data for key in keys):
            return data
    wanted = f"with {', '.join(keys)}" if keys else ""
    raise UnparsableError(f"no JSON object {wanted}: {one_line(text)[:80]!r}")


def plain_answer(text: str) -> str:
    """An answer that is one text: without thoughts, a fence, a label such as "Caption:" and quotes around it, on one
    line. Raises UnparsableError where nothing is left."""
    bare = without_thoughts(text)
    fenced = _FENCE.match(bare)
    line = one_line(fenced[1] if fenced else bare)
    line = unquoted(_LABEL.sub("", unquoted(line)))
    if not line:
        raise UnparsableError("empty answer")
    return line


def unquoted(text: str) -> str:
    """A text without the quotes around it."""
    line = one_line(text)
    while len(line) > 1 and line[0] in QUOTES and line[-1] in QUOTES:
        line = line[1:-1].strip()
    return line.strip("`").strip()


def texts_in(value: Any, limit: int = 32) -> tuple[str, ...]:
    """The texts of a list in an answer, on one line each, empty ones left out; anything else than a text is too."""
    if not isinstance(value, list):
        return ()
    lines = (unquoted(one) for one in value if isinstance(one, str))
    return tuple(line for line in lines if line)[:limit]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text that begin outside each other."""
    decoder, start = json.JSONDecoder(), text.find("{")
    for _ in range(_TRIES):
        if start < 0:
            return
        end = start + 1
        try:
            data, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            pass
        else:
            if isinstance(data, dict):
                yield data
        start = text.find("{", end)
