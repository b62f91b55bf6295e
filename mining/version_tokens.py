"""File names cut into words, and what a word alone says: a language, a state, a view, a season, a colour, a size."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from mining.version_words import COLOURS, LANGUAGE_WORDS, SEASONS, SIZES, STATES, VIEWS

Kind = Literal[
    "language", "state", "season", "view", "colour", "year", "release", "step", "counter", "variant", "folder", "size"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_PIXELS = re.compile(r"(?:@[1-4]x|(?<![^\W_])(?:\d{2,4}x\d{2,4}|\d{2,4}px|[1-4]_\dx|[1-4]x))(?![^\W_])", re.IGNORECASE)
_WORD = re.compile(r"\d+|[^\W\d_]+", re.UNICODE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_REGION = re.compile(r"([a-z]{2})[-_][a-z]{2,4}")
#: State → the groups of `STATES` that hold it, by number.
STATE_GROUPS: dict[str, list[int]] = {}
for _number, _group in enumerate(STATES):
    for _word in _group:
        STATE_GROUPS.setdefault(_word, []).append(_number)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a file name, `start` to `end`, in characters."""

    text: str
    start: int
    end: int
    #: Whether signs that are no letters or digits stand on both sides.
    alone: bool


def name_words(stem: str) -> list[Word]:
    """Words and numbers of a file name, cut at capitals inside a word too."""
    words = []
    for found in _WORD.finditer(stem):
        start = found.start()
        bounds = [start, *(start + cut.start() for cut in _CAMEL.finditer(found[0])), found.end()]
        for first, last in pairwise(bounds):
            before, after = stem[first - 1 : first], stem[last : last + 1]
            alone = not (before.isalnum() or after.isalnum())
            words.append(Word(stem[first:last], first, last, alone))
    return words


def word_kinds(word: str) -> list[tuple[Kind, str, str]]:
    """Kind, value and group of a word that is a state, a view, a season or a colour."""
    found: list[tuple[Kind, str, str]] = [("state", word, f" {group}") for group in STATE_GROUPS.get(word, [])]
    if word in VIEWS:
        found.append(("view", word, ""))
    if word in SEASONS:
        found.append(("season", word, ""))
    if word in COLOURS:
        found.append(("colour", word, ""))
    return found


def language_code(text: str) -> str | None:
    """ISO 639-1 of a code ("de", "pt-BR", "zh_Hans") or of a language's name."""
    lower = text.lower()
    region = _REGION.fullmatch(lower)
    if region is not None:
        return region[1] if region[1] in LANGUAGE_WORDS else None
    return LANGUAGE_WORDS.get(lower)


def is_region(text: str) -> bool:
    """Whether a word may be the region of a language ("BR")."""
    return len(text) == 2 and text.isalpha() and text.isupper()


def size_words(stem: str) -> str:
    """The words of a file name that say its size, as one text."""
    said = [word.text.lower() for word in name_words(_PIXELS.sub(" ", stem)) if word.text.lower() in SIZES]
    return " ".join([found[0].lower() for found in _PIXELS.finditer(stem)] + said)


def without_sizes(stem: str) -> str:
    """A file name without the words that say its size, edges trimmed; the name itself where nothing else is left."""
    bare = _PIXELS.sub("", stem)
    for word in reversed(name_words(bare)):
        if word.text.lower() in SIZES and word.alone:
            bare = bare[: word.start] + bare[word.end :]
    bare = re.sub(r"([-_. ])[-_. ]+", r"\1", bare).strip("-_. ")
    return bare or stem


def value_order(kind: Kind, value: str) -> tuple[int, str]:
    """Where a value stands among those of its kind: numbers by size, states and seasons in order, else by text."""
    if kind in ("step", "counter", "year") and value.isdecimal():
        return int(value), value
    if kind == "state":
        word = value.rpartition(" ")[2]
        return min((STATES[group].index(word) for group in STATE_GROUPS.get(word, [])), default=0), value
    if kind == "season":
        return SEASONS.index(value) if value in SEASONS else 0, value
    return 0 if value == "" else 1, value
