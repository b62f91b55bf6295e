"""Free instructions in the form of MagicLens (arXiv 2403.19651, appendix): several short texts a pair, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from synthesis.config import WriteConfig
from synthesis.requests import NothingToAsk, Request, Variables, load_prompt, make_request
from synthesis.tasks.interface import Candidate, UnparsableError
from synthesis.words import one_line

_CATEGORIES = frozenset({"attribute", "added_object", "removed_object", "relationship", "viewpoint", "number"})
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_QUOTES = "\"'“”„«» "
#: Places in an answer where an object may begin that are tried, at most.
_TRIES = 50


class MagicLens:
    """The task for models that follow instructions."""

    name = "magiclens"

    def __init__(self, config: WriteConfig) -> None:
        self._prompt = load_prompt("magiclens")
        self._config = config

    def format_input(self, variables: Variables) -> Request | NothingToAsk:
        """`text_missing` where nothing is known of the target, `nothing_new` where the same is known of both."""
        query = _known(variables.query, variables.query_label)
        target = _known(variables.target, variables.target_label)
        if not target:
            return NothingToAsk("text_missing")
        if query.casefold() == target.casefold():
            return NothingToAsk("nothing_new")
        parameters = {
            "temperature": self._config.temperature,
            "max_tokens": self._config.max_tokens,
            "seed": self._config.seed,
        }
        shown = replace(variables, query=query or "unknown", target=target)
        return make_request(self._prompt, self._config.model, shown, parameters, count=self._config.texts)

    def format_output(self, text: str, variables: Variables) -> Sequence[Candidate]:
        """The texts of the JSON object in the answer: fenced or bare, among prose, behind a thought."""
        for data in _objects(_THOUGHT.sub(" ", text)):
            items = data.get("instructions")
            if isinstance(items, list):
                return [candidate for item in items if (candidate := _candidate(item)) is not None]
        raise UnparsableError(f"no list of instructions: {one_line(text)[:80]!r}")


def _known(text: str, label: str) -> str:
    return f"{text} (label: {label})".strip() if label else text


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


def _candidate(item: Any) -> Candidate | None:
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return None
    text = one_line(item["text"]).strip(_QUOTES)
    category = item.get("category")
    known = category if isinstance(category, str) and category in _CATEGORIES else None
    return Candidate(text, MagicLens.name, known) if text else None
