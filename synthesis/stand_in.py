"""A writer that is no model: answers in the form that is asked for, for looking at a chain without asking anyone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Parts of a schema of which one is to hold.
_CHOICES = ("anyOf", "oneOf", "allOf")
#: What is said where a text is asked for.
TEXT = "a small wooden boat on a quiet lake under a clear morning sky"
_DEPTH = 12


class StandIn:
    """Answers by JSON schema with made-up values, and everything else with a made-up sentence."""

    revision = "stand-in"

    def __init__(self, name: str) -> None:
        self.name = name

    def stream(
        self, requests: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]] | None]:
        """See `schemas.protocols.InstructionWriter`; no tokens are counted."""
        for request in requests:
            schema = request["parameters"].get("schema")
            text = TEXT if schema is None else json.dumps(example(schema))
            yield request, {"text": text, "error": None, "finish_reason": "stop", "tries": 0}


def example(schema: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that a JSON schema allows, as far as its types, enums and bounds of arrays say."""
    for name in _CHOICES:
        if schema.get(name):
            return example(schema[name][0], depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or "properties" in schema:
        return {name: example(one, depth + 1) for name, one in schema.get("properties", {}).items() if depth < _DEPTH}
    if kind == "array":
        return [example(schema.get("items", {}), depth + 1)] * max(1, schema.get("minItems", 1))
    plain: dict[Any, Any] = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": True}
    return None if kind == "null" else plain.get(kind, TEXT)
