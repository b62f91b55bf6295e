"""Markup for which HTML parsers take time by the square of its length, cut before it is parsed."""

from __future__ import annotations

import re
from collections import Counter
from operator import itemgetter

#: Pages with fewer tags cannot nest so deeply that it costs half a second.
_FEW_TAGS = 20_000
_DEEPEST = 5_000
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,30})")
#: Shorter pages cost little whatever they hold.
_SHORT = 12_000
_BLOCK = 2_000
_BEGINNING = itemgetter(slice(0, 9))
_NAME = re.compile(r"(/?)([a-zA-Z][^\s/>]{0,7})")
#: Elements that hold nothing, or that the next one of their kind ends.
_FLAT = frozenset(
    "a area base body br button col colgroup dd dt embed h1 h2 h3 h4 h5 h6 head hr html img input li link meta "
    "nobr optgroup option p param rp rt source tbody td tfoot th thead tr track wbr".split()
)
#: No page shows so many options, and none of them is a picture or text of one.
_MANY_OPTIONS = 2_000
_OPTION = re.compile(r"</?opt(?:ion|group)\b[^>]*>(?:[^<]*)", re.IGNORECASE)
#: A tag so long is looked at; only images in the markup itself make an honest one so long.
_LONG_TAG = 3_000
_LONG = re.compile(rf"<[a-zA-Z][^<>]{{{_LONG_TAG},}}")
_ATTRIBUTE = re.compile(r"\s[^\s=]")
_MANY_ATTRIBUTES = 500


def tame(html: str) -> str:
    """The page without what only costs time, almost always all of it: a tag has at most its first 3,000 characters if
    it has more than 500 attributes, a page with more than 2,000 options loses them, and it ends where its elements
    would nest more than 5,000 deep (browsers stop at 512)."""
    if len(html) < _SHORT:
        return html
    if _has_gap(html):
        html = _LONG.sub(_short_tag, html)
    tags = html.count("<")
    if tags > 2 * _MANY_OPTIONS and html.count("<option") + html.count("<OPTION") > _MANY_OPTIONS:
        html = _OPTION.sub("", html)
    return _cut_nesting(html) if tags >= _FEW_TAGS and _may_nest(html) else html


def _has_gap(html: str) -> bool:
    """Whether somewhere no tag begins for long: a long tag leaves one of these windows empty."""
    step = _LONG_TAG // 2
    return any(html.find("<", start, start + step) < 0 for start in range(0, len(html) - step, step))


def _may_nest(html: str) -> bool:
    """Whether elements may nest too deeply, told by what stands open after every few thousand tags; the beginnings of
    tags stand for their names."""
    beginnings = list(map(_BEGINNING, html.split("<")))
    opened: Counter[str] = Counter()
    for start in range(0, len(beginnings), _BLOCK):
        for beginning, count in Counter(beginnings[start : start + _BLOCK]).items():
            name = _NAME.match(beginning)
            if name is None or name[2].lower() in _FLAT:
                continue
            key = name[2].lower()
            opened[key] = max(0, opened[key] - count) if name[1] else opened[key] + count
        if opened.total() > _DEEPEST - _BLOCK:
            return True
    return False


def _short_tag(tag: re.Match[str]) -> str:
    text = tag[0]
    return text[:_LONG_TAG] if len(_ATTRIBUTE.findall(text)) > _MANY_ATTRIBUTES else text


def _cut_nesting(html: str) -> str:
    depth = 0
    opened: Counter[str] = Counter()
    for tag in _TAG.finditer(html):
        name = tag[2].lower()
        if name in _FLAT:
            continue
        if not tag[1]:
            opened[name] += 1
            depth += 1
        elif opened[name]:
            # An end tag without its begin closes nothing.
            opened[name] -= 1
            depth -= 1
        if depth > _DEEPEST:
            return html[: tag.start()]
    return html
