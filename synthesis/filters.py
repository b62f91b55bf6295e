"""Filters of texts: why a text is no instruction, from the text and its pair alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synthesis.config import FilterConfig
from synthesis.words import content_words, words

_LEAKS = (
    re.compile(r"\b(?:image|picture|photo|figure)\s*(?:[12ab]|one|two)\b", re.IGNORECASE),
    re.compile(r"\b(?:first|second|query|target|source|reference|other)\s+(?:image|picture|photo)\b", re.IGNORECASE),
    re.compile(r"https?://|www\.|\S\.(?:jpe?g|png|gif|webp|svg|html?|php)\b", re.IGNORECASE),
    re.compile(r"</?[a-z][^>]*>|&[a-z]+;|\{\{|\}\}|```|\*\*", re.IGNORECASE),
    re.compile(r"\bas an? (?:ai|language model)\b|\bi (?:cannot|can't|am unable)\b", re.IGNORECASE),
)


def fault(text: str, pair: Mapping[str, Any], config: FilterConfig) -> tuple[str, str] | None:
    """The reason for which a text is dropped, with a detail, or None: `too_short`, `too_long`, `leak`,
    `no_new_content_word`, `verbatim_target_text`."""
    count = len(words(text))
    if count < config.min_words:
        return "too_short", text
    if count > config.max_words or len(text) > config.max_chars:
        return "too_long", text
    for leak in _LEAKS:
        if leak.search(text):
            return "leak", text
    query, target = pair["query_text"] or "", pair["target_text"] or ""
    if config.new_word and not content_words(text) - content_words(query):
        return "no_new_content_word", text
    if config.verbatim == "drop" and words(text) == words(target):
        return "verbatim_target_text", text
    return None
