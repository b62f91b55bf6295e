"""Phrases that may name things, found in texts by rules, and the form in which two spellings of a name meet.

Two kinds of runs are candidates: words that begin with a capital, with the particles that stand inside names ("Bridge
of Sighs"), and words between stop words (Rose et al. 2010, RAKE), which are noun phrases more often than not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Protocol

from mining.phrase_words import ARTICLES, GENERIC, PARTICLES, STOP_WORDS

#: Longest key of an entity, in characters.
MAX_ENTITY = 60
_MAX_TEXT = 400
#: Where a phrase ends whatever follows: punctuation, and dashes and bars between blanks, as titles have them.
_BREAK = re.compile(r"[,;:!?()\[\]{}<>\"“”„«»|•·/\\…=*~¶]+|\s[-–—]+\s|[.](?=\s|$)|[–—]|::")
_WORD = re.compile(r"[^\s]+")
_EDGES = "'’‘`.-_&+#"
_VERSION = re.compile(r"v?\d+(?:\.\d+)+[a-z]?\d*|v\d+", re.IGNORECASE)
#: Who made or lent a picture is not what it shows.
_CREDIT = re.compile(
    r"(?:©|\(c\)|\bcopyright\b|\bcourtesy\b|\bcredits?:|\b(?:with|by) permission\b|"
    r"\b(?:photo|picture|image|foto|bild)(?:s|graph|graphed)? (?:by|von|de|di)\b|\bsource:).*",
    re.IGNORECASE | re.DOTALL,
)
_LETTERS = re.compile(r"[^\W\d_]")
#: Signs of scripts without blanks between words: a short text is one name.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_MAX_UNSPACED = 12
_FEW_LETTERS = 3


class PhraseFinder(Protocol):
    """Finds phrases that may name what a text speaks of."""

    name: str
    revision: str

    def phrases(self, text: str, language: str | None) -> Sequence[str]:
        """Phrases of the text as written, each once, best or first ones first. `language`: ISO 639-1 of the page."""


class RulePhrases:
    """Capitalised runs and runs between stop words, of `max_words` at most."""

    name = "rules"
    revision = "1"

    def __init__(self, max_words: int = 5) -> None:
        self._max_words = max_words

    def phrases(self, text: str, language: str | None) -> Sequence[str]:
        """See `PhraseFinder`; names come first, then other noun phrases, both as they stand in the text."""
        names: dict[str, None] = {}
        nouns: dict[str, None] = {}
        for part in _BREAK.split(_CREDIT.sub("", unicodedata.normalize("NFC", text[:_MAX_TEXT]))):
            words = [found[0].strip(_EDGES) for found in _WORD.finditer(part)]
            words = [word for word in words if word]
            if _UNSPACED.search(part):
                whole = " ".join(words)
                if len(whole) <= _MAX_UNSPACED:
                    names[whole] = None
                continue
            for run in _runs(words, _is_capital, PARTICLES):
                # A capital at the beginning of a sentence says nothing, unless the word is the whole of it.
                if len(run) > 1 or len(words) == 1 or run[0] != words[0] or _inner_capital(run[0]):
                    self._add(names, run)
            for run in _runs(words, lambda word: word.casefold() not in STOP_WORDS, frozenset()):
                # "Add an entry", "Loading the images": a verb.
                if not (len(run) == 1 and words[0] == run[0] and words[1:2] and words[1].casefold() in ARTICLES):
                    self._add(nouns, run)
        return [*names, *(noun for noun in nouns if noun not in names)]

    def _add(self, found: dict[str, None], run: Sequence[str]) -> None:
        if len(run) <= self._max_words:
            found[" ".join(run)] = None


def entity_of(phrase: str, max_words: int = 5) -> str | None:
    """The normalised name in which spellings of one entity meet, 60 characters at most, or None for what names nothing.

    Case folded; articles, possessives and version numbers taken off; the last word in the singular by the rules of
    English. Words that are said of any picture ("screenshot", "example") name nothing alone.
    """
    text = unicodedata.normalize("NFKC", phrase).casefold().replace("_", " ").replace("’", "'")
    words = [word for word in (found.strip(_EDGES) for found in re.split(r"[\s-]+", text)) if word]
    words = [word.removesuffix("'s") for word in words]
    while words and (words[0] in ARTICLES or words[0] in STOP_WORDS or _VERSION.fullmatch(words[0])):
        words = words[1:]
    while words and (words[-1] in STOP_WORDS or _VERSION.fullmatch(words[-1])):
        words = words[:-1]
    if not words or len(words) > max_words:
        return None
    words[-1] = _singular(words[-1])
    if all(word in GENERIC or _singular(word) in GENERIC or not _LETTERS.search(word) for word in words):
        return None
    name = " ".join(words)
    letters = len(_LETTERS.findall(name))
    if len(name) > MAX_ENTITY or (letters < _FEW_LETTERS and not _UNSPACED.search(name)):
        return None
    return name


def _runs(words: Sequence[str], inside: Callable[[str], bool], between: frozenset[str]) -> list[list[str]]:
    """Longest runs of words that are `inside`; those of `between` may stand in a run, not at its ends."""
    runs: list[list[str]] = []
    run: list[str] = []
    waiting: list[str] = []
    for word in words:
        if inside(word):
            run = [*run, *waiting, word]
            waiting = []
        elif run and word.casefold() in between and len(waiting) < 2:
            waiting.append(word)
        else:
            if run:
                runs.append(run)
            run, waiting = [], []
    if run:
        runs.append(run)
    return runs


def _is_capital(word: str) -> bool:
    """Whether a word begins as names do; a number counts only where it holds a letter ("MPU6050", "3D")."""
    if word.casefold() in STOP_WORDS and not word.isupper():
        return False
    return word[0].isupper() or _inner_capital(word) or (word[0].isdigit() and bool(_LETTERS.search(word)))


def _inner_capital(word: str) -> bool:
    return any(sign.isupper() for sign in word[1:])


def _singular(word: str) -> str:
    """An English plural in the singular; words of other scripts, short ones and -ss, -us, -is stay."""
    if len(word) < 4 or not word.isascii() or not word.endswith("s") or word.endswith(("ss", "us", "is", "'s")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    return word[:-1]
