"""The pictures of a page: for each the addresses that its markup names, and the words around it.

One walk in document order over pictures and headings, whose cost is linear in the page; what stands around a picture
is looked up among a few ancestors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mining.pages.captions import is_caption, read_captions
from mining.pages.met import UNSEEN, Met
from mining.pages.picture_markup import Address, declared, full_picture, of_attributes, of_sources, of_style

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSTYLED = UNSEEN | {"img", "meta", "link", "base"}
#: What marks a picture's place in the text: HTML parsers let no such character into a tree.
_MARK = "\x00"
_NO_CONTENT = frozenset({"html", "body", "table", "tr", "td", "th", "header", "footer", "nav", "button", "input"})
_CLIMB = 5
AROUND = 300
_TEXT = 500


@dataclass
class Picture:
    """Alternatives of one picture and its words; `offset` is its place in the page's running text."""

    addresses: list[Address]
    alt: str | None = None
    title: str | None = None
    caption: str | None = None
    heading: str | None = None
    width: int | None = None
    height: int | None = None
    offset: int = 0

    @property
    def chosen(self) -> int:
        """Index of the alternative that mining prefers: the full picture that a thumbnail leads to, else the largest
        of srcset and picture, else what is loaded late, else the plain one."""
        ranks = {"link": 0, "srcset": 1, "picture": 1, "lazy": 2, "img": 3, "noscript": 4}
        if len(self.addresses) == 1:
            return 0
        order = [(ranks.get(one.source, 5), -one.size, index) for index, one in enumerate(self.addresses)]
        return min(order)[2]


@dataclass
class PageWalk:
    """What one walk over a page finds."""

    pictures: list[Picture] = field(default_factory=list)
    #: The page's text with single blanks. Empty where nobody wanted it and no picture stands in it.
    text: str = ""

    def around(self, picture: Picture) -> tuple[str | None, str | None]:
        """Up to 300 characters of the page's text before and after a picture, cut at blanks."""
        before = self.text[max(0, picture.offset - AROUND - 1) : picture.offset]
        after = self.text[picture.offset : picture.offset + AROUND + 1]
        if len(before) > AROUND:
            before = before.partition(" ")[2]
        if len(after) > AROUND:
            after = after.rpartition(" ")[0]
        return before.strip() or None, after.strip() or None


def clean(text: str | None, limit: int = _TEXT) -> str | None:
    """Text with single blanks, at most `limit` characters; None for nothing."""
    if not text:
        return None
    return " ".join(text[: limit * 4].split())[:limit].strip() or None


def walk(root: Any, met: Met, max_pictures: int, *, text: bool = True) -> PageWalk:
    """Walk the elements met in a tree (selectolax' lexbor nodes). After `max_pictures` pictures only their plain
    addresses are taken. `text` says whether the running text is wanted even without pictures.

    The tree loses its scripts and gains marks: read anything else from it before."""
    walker = _Walker(max_pictures)
    return walker.walk(root, met, text)


class _Walker:
    """Meets pictures and headings in document order. Where a picture stands in the running text is known by a mark put
    into the tree before it: the text itself is then collected by the parser in one go."""

    def __init__(self, max_pictures: int) -> None:
        self._max = max_pictures
        self._walk = PageWalk()
        self._path: list[tuple[int, str]] = []
        self._headings: str | None = None
        self._by_node: dict[int, Picture] = {}
        self._marked: list[tuple[Any, Picture]] = []
        self._sources: dict[int, list[Address]] = {}
        #: Pictures with the elements around them.
        self._boxed: list[tuple[Picture, list[Any]]] = []

    def walk(self, root: Any, met: Met, text: bool) -> PageWalk:
        captions: list[Any] = []
        unseen: list[Any] = []
        for tag, node in met:
            if tag == "img":
                self._image(node)
            elif tag in _HEADINGS:
                self._heading(_HEADINGS[tag], node)
            elif tag == "meta":
                self._open_graph(node)
            elif tag in UNSEEN:
                unseen.append(node)
            elif tag != "link" and is_caption(tag, node):
                captions.append(node)
            if tag not in _UNSTYLED:
                self._style(tag, node)
        if captions:
            self._read_captions(captions)
        if any(node.tag == "template" for node in unseen):
            self._templates(root)
        if text or self._marked:
            self._read_text(root, unseen)
        return self._walk

    def _templates(self, root: Any) -> None:
        """Pictures in `<template>` elements, which are no part of the tree: scripts put them into the page."""
        self._headings = None
        for fragment in root.template_fragments():
            for node in fragment.css("img"):
                self._image(node, placed=False)

    def _read_captions(self, captions: list[Any]) -> None:
        held = Counter(one.mem_id for _, ancestors in self._boxed for one in ancestors)
        found = read_captions(captions, _ancestors, clean)
        for picture, ancestors in self._boxed:
            picture.caption = found.of(ancestors, held)

    def _read_text(self, root: Any, unseen: list[Any]) -> None:
        """The page's text with single blanks, and each picture's place in it."""
        for number, (node, _) in enumerate(self._marked):
            node.insert_before(f"{_MARK}{number} ")
        # The last first: what stands in another one is gone before it.
        for node in reversed(unseen):
            node.decompose()
        first, *marked = " ".join(root.text(separator=" ").split()).split(_MARK)
        parts = [first]
        offset = len(first)
        for piece in marked:
            name, _, rest = f"{piece} ".partition(" ")
            self._marked[int(name)][1].offset = offset
            parts.append(rest)
            offset += len(rest)
        self._walk.text = "".join(parts)

    def _heading(self, level: int, node: Any) -> None:
        if any(one.tag in _HEADINGS for one in _ancestors(node)):
            # Text of headings in headings would be read as often as they nest.
            return
        text = clean(node.text(), 150)
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        if text:
            self._path.append((level, text))
        self._headings = " > ".join(text for _, text in self._path)[:_TEXT] or None

    def _add(self, picture: Picture, node: Any = None, ancestors: list[Any] | None = None) -> None:
        picture.heading = self._headings
        self._walk.pictures.append(picture)
        if node is not None:
            self._marked.append((node, picture))
        if ancestors is not None:
            self._boxed.append((picture, ancestors))

    def _full(self) -> bool:
        return len(self._walk.pictures) >= self._max

    def _image(self, node: Any, placed: bool = True) -> None:
        attributes = node.attributes
        addresses = [Address(attributes["src"].strip(), "img")] if (attributes.get("src") or "").strip() else []
        if self._full():
            if addresses:
                self._walk.pictures.append(Picture(addresses))
            return
        addresses += of_attributes(attributes)
        ancestors = list(_ancestors(node))
        addresses += self._of_picture(ancestors)
        if (link := full_picture(ancestors)) is not None:
            addresses.append(Address(link, "link"))
        if not addresses:
            return
        noscript = next((one for one in ancestors[:3] if one.tag == "noscript"), None)
        lazy = self._lazy_twin(noscript) if noscript is not None else None
        if lazy is not None and all(one.source != "noscript" for one in lazy.addresses):
            for address in addresses:
                address.source = "noscript" if address.source == "img" else address.source
            lazy.addresses += addresses
            lazy.alt = lazy.alt or clean(attributes.get("alt"))
            return
        style = attributes.get("style") or ""
        picture = Picture(
            addresses,
            clean(attributes.get("alt")),
            clean(attributes.get("title")) or _link_title(ancestors),
            width=declared(attributes.get("width"), style, "width"),
            height=declared(attributes.get("height"), style, "height"),
        )
        self._add(picture, node if placed else None, ancestors)
        self._by_node[node.mem_id] = picture

    def _of_picture(self, ancestors: list[Any]) -> list[Address]:
        if not ancestors or ancestors[0].tag != "picture":
            return []
        key = ancestors[0].mem_id
        if key not in self._sources:
            self._sources[key] = of_sources(ancestors[0])
            return self._sources[key]
        # Only the first image of a picture has its sources.
        return []

    def _lazy_twin(self, noscript: Any) -> Picture | None:
        """The picture right before a `<noscript>`, whose plain form the element holds."""
        node = noscript.prev
        for _ in range(3):
            if node is None:
                return None
            if node.tag == "picture":
                node = next((one for one in node.iter() if one.tag == "img"), None)
                return self._by_node.get(node.mem_id) if node is not None else None
            if node.tag == "img":
                return self._by_node.get(node.mem_id)
            if node.tag != "-text" or (node.text_content or "").strip():
                return None
            node = node.prev
        return None

    def _open_graph(self, node: Any) -> None:
        attributes = node.attributes
        name = (attributes.get("property") or attributes.get("name") or "").lower()
        content = (attributes.get("content") or "").strip()
        if not content:
            return
        if name in ("og:image", "og:image:url"):
            self._add(Picture([Address(content, "og")]))
        elif name == "og:image:alt" and self._walk.pictures and self._walk.pictures[-1].addresses[0].source == "og":
            self._walk.pictures[-1].alt = clean(content)

    def _style(self, tag: str, node: Any) -> None:
        """An inline background of a box that is no furniture."""
        if tag in _NO_CONTENT:
            return
        attributes = node.attributes
        address = of_style(attributes.get("style"))
        if address is None:
            return
        picture = Picture([Address(address, "style")])
        if self._full():
            self._walk.pictures.append(picture)
            return
        picture.alt = clean(attributes.get("aria-label")) or clean(attributes.get("title"))
        self._add(picture, node, list(_ancestors(node)))


def _ancestors(node: Any) -> Iterator[Any]:
    for _ in range(_CLIMB):
        node = node.parent
        if node is None or node.tag in ("body", "html", "-document"):
            return
        yield node


def _link_title(ancestors: list[Any]) -> str | None:
    return next((clean(one.attributes.get("title")) for one in ancestors[:3] if one.tag == "a"), None)
