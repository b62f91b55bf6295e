"""The elements of a page that its reading looks at, found in one traversal of the tree: each has its price."""

from __future__ import annotations

from typing import Any

#: Elements whose text nobody sees.
UNSEEN = frozenset({"script", "style", "template", "title", "textarea", "iframe"})
_WANTED = (
    "base, title, meta, link, h1, h2, h3, h4, h5, h6, img, script, style, template, textarea, iframe, "
    "a[rel~=license i], a[href*='creativecommons.org/' i], figcaption, [class*=caption i], [class*=gallerytext i], "
    "[class*=legend i], [style*='url(' i]"
)

#: An element with its name, in document order.
Met = list[tuple[str, Any]]


def meet(root: Any) -> Met:
    """The elements of a tree (selectolax' lexbor nodes) that may matter, each once."""
    found: Met = []
    before = 0
    for node in root.css(_WANTED):
        # One that two selectors match comes twice.
        if node.mem_id != before:
            before = node.mem_id
            found.append((node.tag, node))
    return found
