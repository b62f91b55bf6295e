"""What tasks that never see a picture know of it, and the texts that an answer lists."""

from __future__ import annotations

from typing import Any

from synthesis.json_answers import unquoted
from synthesis.page_text import plain
from synthesis.tasks.interface import CATEGORIES, Candidate, NothingToAsk, Row
from synthesis.words import one_line

#: Characters of a caption or text that enter a prompt, at most.
CHARACTERS = 400


def said_of(row: Row, side: str) -> str:
    """Caption of the `query` or `target` image, or what the page says of it; "" where neither is known."""
    return _first(row, f"{side}_caption", f"{side}_text")


def said_of_image(row: Row) -> str:
    """The same for the row of one image."""
    return _first(row, "caption", "text")


def known_of(row: Row, side: str) -> tuple[str, ...]:
    """All that is known of the `query` or `target` image, to be compared: text of the page, label, caption."""
    return tuple(one_line(row.get(f"{side}_{what}") or "").casefold() for what in ("text", "label", "caption"))


def both_sides(row: Row) -> dict[str, str] | NothingToAsk:
    """What is said of `query` and `target`: `text_missing` where one has nothing, `nothing_new` where they are the
    same."""
    sides = {side: said_of(row, side) for side in ("query", "target")}
    if not all(sides.values()):
        return NothingToAsk("text_missing")
    return NothingToAsk("nothing_new") if same(sides["query"], sides["target"]) else sides


def same(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but capitals and the stop at their end."""
    return one.casefold().rstrip(" .") == other.casefold().rstrip(" .")


def candidates(value: Any, direction: str = "forward") -> tuple[Candidate, ...]:
    """The texts of a list in an answer, or of the only one: plain, or as objects with `text` and maybe `category`."""
    items = value if isinstance(value, list) else [value]
    return tuple(found for item in items if (found := _candidate(item, direction)) is not None)


def _first(row: Row, *columns: str) -> str:
    found = (plain(value, CHARACTERS) for column in columns if isinstance(value := row.get(column), str))
    return next((text for text in found if text), "")


def _candidate(item: Any, direction: str) -> Candidate | None:
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return None
    text, category = unquoted(item["text"]), item.get("category")
    return Candidate(text, category if category in CATEGORIES else None, direction) if text else None
