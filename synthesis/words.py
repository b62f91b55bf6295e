"""Words of texts, as filters and grammars compare them."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
#: Words that carry no content of their own in an instruction.
STOP_WORDS = frozenset(
    (
        "a an the of in on at to for from with without and or by as is are was were be been being it its this "
        "that these those there here same show see find change make me my your you i he she we they his her "
        "their our one some any no not into onto over under up down out off image picture photo version view "
        "other another more most very "
    ).split()
)


def words(text: str) -> list[str]:
    """Words in lower case, in order."""
    return [word.lower() for word in _WORD.findall(text)]


def content_words(text: str) -> set[str]:
    """Words that carry content, plurals folded onto singulars."""
    return {_folded(word) for word in words(text) if word not in STOP_WORDS}


def _folded(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
