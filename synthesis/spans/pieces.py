"""Texts cut at their breaks: punctuation, dashes, brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from synthesis.spans.lexicon import FUNCTION_WORDS, NATIONS, PREPOSITIONS, VERBS, participle

_BREAK = r"""\s+[-–—|·•>+~*]+\s+|[:;|()\[\]{}<>=\\"“”„«»`®]+|(?<![0-9])/|/(?![0-9])|(?<=[\w'’)])[.!?…]+(?:\s+|$)"""
_BREAKS = re.compile(_BREAK + r"|\s*,\s+"), re.compile(_BREAK)
#: Who made a picture is not what it shows.
_CREDIT = re.compile(
    r"(?:©|\(c\)|\bcourtesy of\b|\bcopyright\b|\b(?:photos?|images?|pictures?|drawings?) by\b|\bcredits?:"
    r"|\bwith (?:the )?(?:kind )?permission\b).*",
    re.IGNORECASE | re.DOTALL,
)
#: "(s)" of "image(s)", numbers of notes.
_TAIL = re.compile(r"\(s\)|\[\d+\]|\(\s*\)")
_CODE = re.compile(r"\w\((?!s\))|\w\[[\w'\"]|\\\w|[{}]|==|->|::|\$\w|&&")
_QUOTES = ".'’‘`´!?*,–—-_&+#"
#: "red, green and blue": no break stands in such a list.
_LIST = re.compile(r",\s+(?:[\w-]+,?\s+){0,2}(?:and|or)\s")


@dataclass(frozen=True)
class Piece:
    """Tokens between two breaks. `mark`: the break before it: "" at the beginning, "(" brackets and quotes, "-" dashes,
    ":" colons, "," commas, "." full stops. `heading`: all its words had capitals; `name`: it opens with a name."""

    tokens: tuple[str, ...]
    mark: str = ""
    heading: bool = False
    name: bool = False

    @property
    def text(self) -> str:
        """As it stands in an instruction."""
        return " ".join(self.tokens)

    @property
    def key(self) -> tuple[str, ...]:
        """As pieces are compared."""
        return tuple(token.lower() for token in self.tokens)


def pieces(text: str) -> list[Piece]:
    """A text between its breaks, without credits, in the spelling that an instruction has: the capital of a first word
    is lowered, those of names and of headings of two words or more stay, as no list tells the ones from the others."""
    text = _TAIL.sub("", _CREDIT.sub("", text))
    listed = bool(_LIST.search(text))
    found: list[Piece] = []
    start, mark = 0, ""
    for stop in [*_BREAKS[listed].finditer(text), None]:
        part = text[start : stop.start() if stop else len(text)]
        tokens, heading, name = _spelled(part)
        if tokens:
            found.append(Piece(tuple(tokens), mark if found else "", heading, name))
        if stop:
            start, mark = stop.end(), _mark(stop.group(), mark if not tokens else "")
    return found


def code(text: str) -> bool:
    """Whether a text holds pieces of a program."""
    return bool(_CODE.search(text))


def _mark(separator: str, before: str) -> str:
    for sign, signs in (("(", '()[]{}<>"“”„«»`'), (".", ".!?…"), (",", ",;"), (":", ":")):
        if any(one in signs for one in separator):
            return sign
    return before or "-"


def _spelled(part: str) -> tuple[Sequence[str], bool, bool]:
    tokens = [
        token if token == "&" else token.lstrip(_QUOTES).rstrip(_QUOTES.replace(",", "")) for token in part.split()
    ]
    tokens = [token for token in tokens if token.strip(",")]
    while tokens and tokens[-1] == "&":
        tokens.pop()
    while tokens and tokens[0] == "&":
        tokens.pop(0)
    if tokens:
        tokens[-1] = tokens[-1].rstrip(_QUOTES)
    weighty = [token for token in tokens if token.isalpha() and token.lower() not in FUNCTION_WORDS]
    heading = bool(weighty) and all(token[:1].isupper() for token in weighty)
    name = not heading and _named(tokens)
    kept = (
        name or (heading and len(weighty) > 1) or (tokens[1:2] == weighty[1:2] and tokens[1:2] and tokens[1].istitle())
    )
    result = [
        _lowered(token) if (index == 0 and not kept) or token.lower() in FUNCTION_WORDS else token
        for index, token in enumerate(tokens)
    ]
    return result, heading, name


def _named(tokens: Sequence[str]) -> bool:
    """Whether tokens open with a name of two words or more that is no more than a name: "Mount Fuji at dawn"."""
    end = 0
    while end < len(tokens) and tokens[end].istitle() and tokens[end].isalpha():
        end += 1
    behind = tokens[end].lower() if end < len(tokens) else "in"
    return (
        1 < end < 5
        and tokens[0].lower() not in FUNCTION_WORDS
        and (behind in PREPOSITIONS or behind in VERBS or participle(tokens, end))
    )


def _lowered(token: str) -> str:
    """Acronyms, model numbers, inner capitals and languages keep theirs."""
    if token.lower() in NATIONS:
        return token
    parts = token.split("-")
    bare = "_" not in token and all(part[1:].islower() or len(part) <= 1 or not part.isalpha() for part in parts)
    return token.lower() if bare and token[:1].isalpha() and not any(map(str.isdigit, token)) else token
