"""Words of texts, as filters and grammars compare them."""

from __future__ import annotations

import re
import unicodedata

#: Signs of scripts that put no blanks between words count as a word each; marks of Indic scripts belong to theirs.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SIGN = rf"(?:[^\W_{_UNSPACED}]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0951-\u0dff])"
_WORD = re.compile(rf"[{_UNSPACED}]|{_SIGN}+(?:['’.-]{_SIGN}+)*")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs"})
#: Words that carry no content of their own in an instruction.
STOP_WORDS = frozenset(
    (
        "a an the of in on at to for from with without and or by as is are was were be been being it its this "
        "that these those there here same show see find change make me my your you i he she we they his her "
        "their our one some any no not into onto over under up down out off image picture photo version view "
        "other another more most very instead "
    ).split()
)


def one_line(text: str) -> str:
    """A text on one line, without what cannot be seen (control, format and private signs, halves of pairs)."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = (
        " " if sign.isspace() else sign for sign in text if sign.isspace() or unicodedata.category(sign) not in _UNSEEN
    )
    return " ".join("".join(kept).split())


def words(text: str) -> list[str]:
    """Words in lower case, in order."""
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", text))]


def content_words(text: str) -> set[str]:
    """Words that carry content, plurals folded onto singulars."""
    return {_folded(word) for word in words(text) if word not in STOP_WORDS}


def _folded(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
