"""A page's head: title, description, language, canonical address, licence, robots directives, base address."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mining.opt_out import meta_directives
from mining.pages.met import Met
from mining.pages.picture import clean

_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_]|$)")
_CREATIVE_COMMONS = re.compile(r"https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/[a-z0-9./+-]+", re.I)
_LD_LICENSE = re.compile(r'"license"\s*:', re.IGNORECASE)
#: What states a licence, the surest first.
_BY_RELATION, _BY_LINK, _BY_DATA, _BY_META = range(4)
_READ = frozenset({"meta", "title", "base", "h1", "link", "a", "script"})
_DETECTED = 2000
_SURE = 0.9


@dataclass
class Head:
    """What the head and a few links of a page say of it. Addresses are as written."""

    title: str | None = None
    description: str | None = None
    language: str | None = None
    canonical: str | None = None
    license: str | None = None
    base: str | None = None
    #: Whether the licence is an address rather than a name.
    license_link: bool = False
    directives: set[str] = field(default_factory=set)


def read_head(root: Any, met: Met, agent: str) -> Head:
    """Read the head of a tree (selectolax' lexbor nodes) for the agent whose robots directives count."""
    head = Head(language=_language(root.attributes.get("lang") or root.attributes.get("xml:lang")))
    names: dict[str, str] = {}
    licenses: dict[int, str] = {}
    first_heading: str | None = None
    for tag, node in met:
        if tag not in _READ:
            continue
        attributes = node.attributes
        if tag == "meta":
            name = (attributes.get("name") or attributes.get("property") or attributes.get("http-equiv") or "").lower()
            content = attributes.get("content") or ""
            names.setdefault(name, content)
            head.directives |= meta_directives(name, content, agent)
        elif tag == "title" and head.title is None and (node.parent is None or node.parent.tag != "svg"):
            head.title = clean(node.text())
        elif tag == "base":
            head.base = head.base or (attributes.get("href") or "").strip() or None
        elif tag == "h1":
            first_heading = first_heading or (clean(node.text()) if head.title is None else None)
        elif tag == "link" and "canonical" in (attributes.get("rel") or "").lower().split():
            head.canonical = head.canonical or (attributes.get("href") or "").strip() or None
        elif (stated := _license(tag, attributes, node)) is not None:
            licenses.setdefault(*stated)
    head.title = head.title or clean(names.get("og:title")) or first_heading
    head.description = clean(names.get("description")) or clean(names.get("og:description"))
    locale = names.get("content-language") or names.get("og:locale")
    head.language = head.language or _language(locale)
    for name in ("dc.rights.license", "dcterms.license"):
        if (value := clean(names.get(name))) is not None:
            licenses.setdefault(_BY_META, value)
    if licenses:
        rank = min(licenses)
        head.license = licenses[rank]
        head.license_link = rank < _BY_DATA or head.license.startswith(("http://", "https://", "/"))
    return head


def stated_language(head: Head, content_language: Sequence[str]) -> str | None:
    """ISO 639-1 from the markup, else from the header."""
    return head.language or next((found for one in content_language if (found := _language(one))), None)


def detected_language(text: str) -> str | None:
    """ISO 639-1 from the beginning of a page's text, if the detector is sure."""
    sample = " ".join(text[: _DETECTED * 8].split())[:_DETECTED]
    if len(sample) < 40:
        return None
    language, confidence = _detector().classify(sample)
    return str(language) if confidence >= _SURE else None


@lru_cache(maxsize=1)
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _language(value: str | None) -> str | None:
    found = _LANGUAGE.match((value or "").strip())
    if found is None:
        return None
    code = found[1].lower()
    return code if len(code) == 2 else _THREE_LETTERS.get(code)


#: Three-letter codes that pages use in place of the two-letter ones.
_THREE_LETTERS = {
    "eng": "en",
    "deu": "de",
    "ger": "de",
    "fra": "fr",
    "fre": "fr",
    "spa": "es",
    "ita": "it",
    "jpn": "ja",
}


def _license(tag: str, attributes: dict[str, str | None], node: Any) -> tuple[int, str] | None:
    """How surely an element states the page's licence (less is surer), and the licence."""
    href = clean(attributes.get("href"))
    if tag in ("a", "link"):
        if href and "license" in (attributes.get("rel") or "").lower().split():
            return _BY_RELATION, href
        found = _CREATIVE_COMMONS.match(href or "")
        return (_BY_LINK, found[0]) if found else None
    if tag == "script" and "ld+json" in (attributes.get("type") or ""):
        value = _linked_data_license(node.text() or "")
        return (_BY_DATA, value) if value else None
    return None


def _linked_data_license(text: str) -> str | None:
    """`license` anywhere in a JSON-LD block: an address or a name, an object's @id or url, or the first of several."""
    if not _LD_LICENSE.search(text):
        return None
    try:
        todo: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return None
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += reversed(one)
        elif isinstance(one, dict):
            value = one.get("license")
            if isinstance(value, list) and value:
                value = value[0]
            if isinstance(value, dict):
                value = value.get("@id") or value.get("url")
            if isinstance(value, str) and value.strip():
                return clean(value)
            todo += reversed(one.values())
    return None
