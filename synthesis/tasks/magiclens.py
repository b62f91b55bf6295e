"""Free instructions in the form of MagicLens (arXiv 2403.19651, appendix): several short texts a pair, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from synthesis.config import WriteConfig
from synthesis.requests import Request, Variables, load_prompt, make_request
from synthesis.tasks.interface import Candidate, UnparsableError

_CATEGORIES = frozenset({"attribute", "added_object", "removed_object", "relationship", "viewpoint", "number"})


class MagicLens:
    """The task for models that follow instructions."""

    name = "magiclens"

    def __init__(self, config: WriteConfig) -> None:
        self._prompt = load_prompt("magiclens")
        self._config = config

    def format_input(self, variables: Variables) -> Request | None:
        """None where nothing is known of the target."""
        if not variables.target:
            return None
        parameters = {
            "temperature": self._config.temperature,
            "max_tokens": self._config.max_tokens,
            "seed": self._config.seed,
        }
        return make_request(self._prompt, self._config.model, variables, parameters, count=self._config.texts)

    def format_output(self, text: str) -> Sequence[Candidate]:
        """The texts of the JSON object in the answer, fenced or not."""
        start, end = text.find("{"), text.rfind("}")
        try:
            data = json.loads(text[start : end + 1]) if start >= 0 else None
        except ValueError as error:
            raise UnparsableError(f"no JSON: {text[:80]!r}") from error
        items = data.get("instructions") if isinstance(data, dict) else None
        if not isinstance(items, list):
            raise UnparsableError(f"no list of instructions: {text[:80]!r}")
        return [candidate for item in items if (candidate := _candidate(item)) is not None]


def _candidate(item: Any) -> Candidate | None:
    if isinstance(item, str):
        return Candidate(" ".join(item.split()), MagicLens.name)
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return None
    category = item.get("category")
    return Candidate(" ".join(item["text"].split()), MagicLens.name, category if category in _CATEGORIES else None)
