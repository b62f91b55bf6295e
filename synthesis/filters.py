"""Filters of texts: why a text is no instruction, from the text and its pair alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synthesis.config import FilterConfig
from synthesis.words import content_words, words

_SHOWN = r"(?:images?|imgs?|pictures?|pics?|photo(?:graph)?s?|figures?|figs?|candidates?)"
_LEAKS = (
    # Which image of a prompt is meant: "image 1", "picture #2", "Image B", "the first image", "target photo".
    re.compile(rf"\b{_SHOWN}\.?[\s_-]*(?:no\.?\s*|nr\.?\s*|number\s+)?#?\s*\d{{1,3}}(?![\w'’])", re.IGNORECASE),
    re.compile(r"\b(?i:images?|pictures?)\s+(?:(?i:one|two|three)|[A-D])\b|\b(?i:photo|figure|panel)\s+[A-D]\b"),
    re.compile(
        rf"\b(?:first|second|third|1st|2nd|3rd|former|latter|query|target|source|reference|other)\s+{_SHOWN}\b",
        re.IGNORECASE,
    ),
    # Addresses, e-mail addresses, file names.
    re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://|\bwww\d?\.|\bdata:\w+/|\bmailto:|\bjavascript:", re.IGNORECASE),
    re.compile(r"[\w.+-]+\s?@\s?[\w-]+(?:\.[\w-]+)+"),
    re.compile(
        r"\b[a-z0-9-]+\.(?:com|org|net|info|edu|gov|io|dev|app|co\.uk|de|fr|ru|cn|jp|example|html?|php|aspx?|jsp)\b",
        re.IGNORECASE,
    ),
    re.compile(r"\S\.(?:jpe?g|png|gif|webp|svgz?|bmp|tiff?|avif|heic|pdf|mp4)\b", re.IGNORECASE),
    re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
    # Markup and pieces of templates.
    re.compile(r"</?[a-z!][^>]*>|&(?:[a-z]{2,8}|#x?[0-9a-f]{1,6});|\{\{|\}\}|\{%|```|\*\*|\]\(|<\|", re.IGNORECASE),
    re.compile(r"[{}\[\]]\s*\"|\"\s*:|\\[nrtu\"]"),
    # What models say of themselves, and of their prompt.
    re.compile(
        r"\bas an? (?:ai|(?:large )?language model)\b|\bi(?: am|['’]m) (?:unable|sorry|not able)\b"
        r"|\bi can(?:not|['’]t| not)\b|\bpage title\b|\balt(?:ernative)? text\b|\bsystem prompt\b"
        r"|\b(?:previous|above) instructions?\b",
        re.IGNORECASE,
    ),
)
_ARTICLES = frozenset({"a", "an", "the"})


def fault(text: str, pair: Mapping[str, Any], config: FilterConfig) -> tuple[str, str] | None:
    """The reason for which a text is dropped, with a detail, or None: `too_short`, `too_long`, `leak`,
    `no_new_content_word`, `verbatim_target_text`. `pair` gives `query_text` and `target_text`."""
    count = len(words(text))
    if count < config.min_words:
        return "too_short", text
    if count > config.max_words or len(text) > config.max_chars:
        return "too_long", text
    for leak in _LEAKS:
        found = leak.search(text)
        if found is not None:
            return "leak", f"{found.group()} in: {text}"
    query, target = pair["query_text"] or "", pair["target_text"] or ""
    if config.new_word and not content_words(text) - content_words(query):
        return "no_new_content_word", text
    if config.verbatim == "drop" and _bare(text) == _bare(target):
        return "verbatim_target_text", text
    return None


def _bare(text: str) -> list[str]:
    """Words without a leading article."""
    found = words(text)
    return found[1:] if found[:1] and found[0] in _ARTICLES else found
