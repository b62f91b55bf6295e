"""What may be said of a target: words of its text, and the family of patterns that fits them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Saying:
    """`family` names patterns of `prompts/span_copy.phrases.yaml`; `new` is a span of the target's text, `old` of the
    query's, `tail` words that both share. `category` as `tasks.interface.Candidate` has it."""

    family: str
    new: str
    old: str = ""
    tail: str = ""
    category: str | None = None
