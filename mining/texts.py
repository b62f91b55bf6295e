"""The text that describes an image at its place: cleaned of file names, boilerplate and numbering."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

#: Longest text of a place, in characters; cut at a blank.
MAX_TEXT = 160
_BLANK = re.compile(r"\s+")
_MARKUP = re.compile(r"<[^>]{1,80}>")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_FILE_NAME = re.compile(r"\S+\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|avif|pdf|php|html?)\b(?:\?\S*)?", re.IGNORECASE)
_NUMBERING = re.compile(
    r"^(?:(?:fig(?:ure)?|abb(?:ildung)?|image|img|photo|picture|pic|plate|slide|table|step|screenshot)\.?\s*)?"
    r"(?:no\.?\s*|#\s*)?\(?\d{1,4}(?:[.\-]\d{1,4})*[a-z]?\)?\s*(?:[:.)\u2013\u2014-]|of\s+\d+)\s*",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:(?:an?|the)\s+)?(?:image|picture|photo(?:graph)?|screenshot|illustration|thumbnail)\s+(?:of|for|showing)\s+",
    re.IGNORECASE,
)
#: Texts that say nothing of the one image they stand with.
_EMPTY_WORDS = frozenset(
    (
        "image images img picture pictures photo photos photograph logo icon icons banner thumbnail thumb "
        "screenshot figure fig avatar spacer blank placeholder loading untitled null none undefined alt "
        "alternate click enlarge here full size larger view zoom download advertisement ad ads header footer "
        "background home menu search button arrow next previous prev up down left right back top close open "
        "more show hide share print email rss facebook twitter "
    ).split()
)
_INVISIBLE = re.compile("[\u00b6\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\uf0c1]")


def place_text(row: Mapping[str, Any]) -> str | None:
    """The first of alternative text, caption and title that says something, cleaned; None where none does."""
    for column in ("alt", "caption", "title"):
        text = clean_text(row.get(column))
        if text is not None:
            return text
    return None


def clean_text(text: str | None) -> str | None:
    """A text without markup, addresses, file names, numbering and openings such as "photo of"; None for what is left
    of boilerplate."""
    if not text:
        return None
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    text = _FILE_NAME.sub(" ", _ADDRESS.sub(" ", _MARKUP.sub(" ", text)))
    text = _BLANK.sub(" ", text).strip(" -–—|:;,_/\\*#>")
    text = _OPENING.sub("", _NUMBERING.sub("", text)).strip(" -–—|:;,_/\\*#>")
    if "_" in text and " " not in text:
        text = text.replace("_", " ")
    words = [word.strip(".,:;!?()[]\"'").lower() for word in text.split()]
    telling = [word for word in words if any(sign.isalpha() for sign in word) and word not in _EMPTY_WORDS]
    if not telling or sum(len(word) for word in telling) < 2:
        return None
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT + 1].rpartition(" ")[0] or text[:MAX_TEXT]
    return text.strip()
