"""Filters of texts: why a text is no instruction, from the text and its pair alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synthesis.config import FilterConfig
from synthesis.people_words import people_words_in
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
    # Addresses, e-mail addresses, file names. Bounded: a model that repeats one sign must not cost seconds.
    re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://|\bwww\d?\.|\bdata:\w+/|\bmailto:|\bjavascript:", re.IGNORECASE),
    re.compile(r"[\w.+-]{1,64}\s?@\s?[\w-]+(?:\.[\w-]+)+"),
    re.compile(
        r"\b[a-z0-9-]{1,63}\.(?:com|org|net|info|edu|gov|io|dev|app|co\.uk|de|fr|ru|cn|jp|example|html?|php|aspx?|jsp)\b",
        re.IGNORECASE,
    ),
    re.compile(r"\S\.(?:jpe?g|png|gif|webp|svgz?|bmp|tiff?|avif|heic|pdf|mp4)\b", re.IGNORECASE),
    re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
    # Markup and pieces of templates.
    re.compile(r"</?[a-z!][^>]*>|&(?:[a-z]{2,8}|#x?[0-9a-f]{1,6});|\{\{|\}\}|\{%|```|\*\*|\]\(|<\|", re.IGNORECASE),
    re.compile(r"[{}\[\]]\s*\"|\"\s*:|\\[nrtu\"]"),
    # Pieces of prompts, and orders that a page gave and a model repeats.
    re.compile(
        r"\bpage title\b|\balt(?:ernative)? text\b|\bsystem (?:prompt|message)\b|\b(?:text|caption) on the page\b"
        r"|\b(?:previous|prior|preceding|above|earlier) (?:instructions?|prompts?|orders?|directions)\b"
        r"|\b(?:instructions?|prompts?|orders) (?:given )?above\b"
        r"|\b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|every|the|your|these|those|of|my|other)\s+){0,3}"
        r"(?:instructions?|prompts?|orders|rules|guidelines|directions|commands)\b"
        r"|\b(?:reveal|print|repeat|output|leak)\s+(?:(?:me|the|your|this|its)\s+){0,2}(?:system\s+)?prompts?\b"
        r"|\b(?:answer|respond|reply)\s+(?:only\s+|just\s+)?(?:with|in)\s+(?:only\s+|just\s+)?"
        r"(?:the\s+(?:word|text|sentence|phrase)|json|[\"'“‘])"
        r"|(?:^|[.!:]\s*)you are now (?:an?|in)\b|^\s*(?:system|assistant|user|human)\s*:|###",
        re.IGNORECASE,
    ),
)
#: What models say of themselves when they do not do what is asked.
_REFUSAL = re.compile(
    r"\bas an? (?:(?:large |visual |vision[- ])?language model|ai (?:language|assistant|model|system|chatbot)"
    r"|(?:ai|artificial intelligence)(?=\s*(?:[,.;:]|$|i\b)))"
    r"|\bi(?: am|['’]m) (?:very |so |really )?(?:unable|sorry|afraid|not able|not allowed|just an? (?:ai|language))\b"
    r"|\bi (?:cannot|can['’]?t|can not|won['’]t|do(?: not|n['’]t) have (?:the ability|access|enough))\b"
    r"|\bi (?:do not|don['’]t|could not|couldn['’]t) (?:see|find|view) (?:an?|any|the) (?:images?|pictures?|photos?)\b"
    r"|^\W*(?:sorry|apologies|my apologies)\b\s*(?:[,.!;:]|but\b|i\b|for\b)|\bi apologi[sz]e\b"
    r"|\bno (?:image|picture|photo)s? (?:(?:was|is|were|are|has been) )?(?:provided|attached|shared|given|uploaded)\b"
    r"|\bplease (?:provide|upload|share|attach) (?:me |us )?(?:with )?(?:an?|the|more|your)\b"
    r"|\b(?:cannot|can['’]?t|unable to) (?:assist|help|comply|fulfil+|answer|determine|provide|describe|identify)\b"
    r"|\b(?:lo siento|no puedo|je suis désolée?|je ne peux pas|es tut mir leid|ich kann (?:nicht|kein|das|dir|ihnen)"
    r"|tut mir leid|mi dispiace|non posso|sinto muito|desculpe|к сожалению|извините)\b"
    r"|抱歉|对不起|對不起|作为(?:一个|一名)?(?:ai|人工智能)|申し訳(?:あ|ご|な)|죄송합니다",
    re.IGNORECASE,
)
_ARTICLES = frozenset({"a", "an", "the"})


def fault(text: str, pair: Mapping[str, Any], config: FilterConfig) -> tuple[str, str] | None:
    """The reason for which a text is dropped, with a detail, or None: `too_short`, `too_long`, `refusal`, `leak`,
    `people_words`, `no_new_content_word`, `verbatim_target_text`. `pair` gives `query_text` and `target_text`."""
    count = len(words(text))
    if count < config.min_words:
        return "too_short", text
    if count > config.max_words or len(text) > config.max_chars:
        return "too_long", text
    for reason, found in (("refusal", refusal_in(text)), ("leak", leak_in(text))):
        if found is not None:
            return reason, f"{found} in: {text}"
    if config.people_words and (about := people_words_in(text, config.people_words)):
        return "people_words", f"{about[0]}: {about[1]} in: {text}"
    query, target = pair["query_text"] or "", pair["target_text"] or ""
    if config.new_word and not content_words(text) - content_words(query):
        return "no_new_content_word", text
    if config.verbatim == "drop" and _bare(text) == _bare(target):
        return "verbatim_target_text", text
    return None


def leak_in(text: str) -> str | None:
    """What in a text shows that it is none of ours: an address, markup, a file name, a piece of a prompt, an order, a
    mention of the numbered images; the first such piece, or None. Refusals are `refusal_in`."""
    for leak in _LEAKS:
        found = leak.search(text)
        if found is not None:
            return found.group()
    return None


def refusal_in(text: str) -> str | None:
    """The words by which a model refuses, or says that it saw nothing; None where it does neither."""
    found = _REFUSAL.search(text)
    return None if found is None else found.group()


def _bare(text: str) -> list[str]:
    """Words without a leading article."""
    found = words(text)
    return found[1:] if found[:1] and found[0] in _ARTICLES else found
