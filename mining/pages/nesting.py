"""How deep the elements of a page nest: HTML parsers take time by the square of it."""

from __future__ import annotations

import re

#: Pages with fewer tags cannot nest so deeply that it costs half a second.
_FEW_TAGS = 20_000
_DEEPEST = 5_000
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,30})")
#: Elements that hold nothing, or that the next one of their kind ends.
_FLAT = frozenset(
    "a area base body br button col colgroup dd dt embed h1 h2 h3 h4 h5 h6 head hr html img input li link meta "
    "nobr optgroup option p param rp rt source tbody td tfoot th thead tr track wbr".split()
)


def cut_nesting(html: str) -> str:
    """The page up to where its elements would nest more than 5,000 deep (browsers stop at 512): almost always all."""
    if html.count("<") < _FEW_TAGS:
        return html
    depth = 0
    for tag in _TAG.finditer(html):
        if tag[2].lower() in _FLAT:
            continue
        depth = max(0, depth - 1) if tag[1] else depth + 1
        if depth > _DEEPEST:
            return html[: tag.start()]
    return html
