"""The pictures of a page: for each the addresses that its markup names, and the words around it.

One walk in document order over pictures and headings, whose cost is linear in the page; what stands around a picture
is looked up among a few ancestors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mining.pages.captions import Around, is_caption, read_captions
from mining.pages.met import UNSEEN, Met
from mining.pages.picture import HEADING_LENGTH, PageWalk, Picture, clean
from mining.pages.picture_markup import Address, declared, full_picture, of_attributes, of_sources, of_style

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSTYLED = UNSEEN | {"img", "meta", "link", "base"} | _HEADINGS.keys()
#: What marks a picture's place in the text: HTML parsers let no such character into a tree.
_MARK = "\x00"
_NO_CONTENT = frozenset({"html", "body", "table", "tr", "td", "th", "header", "footer", "nav", "button", "input"})
_CLIMB = 5
_OUTSIDE = frozenset({"body", "html", "-document"})


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
        self._pictures: set[int] = set()
        #: Pictures with the elements around them.
        self._boxed: list[tuple[Picture, Around]] = []
        #: Headings that no picture has asked for yet: their text has a price.
        self._passed: list[tuple[int, Any]] = []

    def walk(self, root: Any, met: Met, text: bool) -> PageWalk:
        captions: list[Any] = []
        unseen: list[Any] = []
        templates = False
        for tag, node in met:
            if tag == "img":
                self._image(node)
            elif tag in _HEADINGS:
                self._passed.append((_HEADINGS[tag], node))
            elif tag == "meta":
                self._open_graph(node)
            elif tag in UNSEEN:
                unseen.append(node)
                templates = templates or tag == "template"
            elif tag != "link" and is_caption(tag, node):
                captions.append(node)
            if tag not in _UNSTYLED:
                self._style(tag, node)
        if captions:
            self._read_captions(captions)
        if templates:
            self._templates(root)
        if text or self._marked:
            self._read_text(root, unseen)
        return self._walk

    def _templates(self, root: Any) -> None:
        """Pictures in `<template>` elements, which are no part of the tree: scripts put them into the page."""
        self._headings, self._passed = None, []
        for fragment in root.template_fragments():
            for node in fragment.css("img"):
                self._image(node, placed=False)

    def _read_captions(self, captions: list[Any]) -> None:
        held = Counter(one.mem_id for _, around in self._boxed for _, one in around)
        found = read_captions(captions, _around, clean)
        for picture, around in self._boxed:
            picture.caption = found.of(around, held)

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
        if any(tag in _HEADINGS for tag, _ in _around(node)):
            # Text of headings in headings would be read as often as they nest.
            return
        text = clean(node.text(), 150)
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        if text:
            self._path.append((level, text))
        self._headings = " > ".join(text for _, text in self._path)[:HEADING_LENGTH] or None

    def _add(self, picture: Picture, node: Any = None, around: Around | None = None) -> None:
        for level, heading in self._passed:
            self._heading(level, heading)
        self._passed.clear()
        picture.heading = self._headings
        self._walk.pictures.append(picture)
        if node is not None:
            self._marked.append((node, picture))
        if around is not None:
            self._boxed.append((picture, around))

    def _full(self) -> bool:
        return len(self._walk.pictures) >= self._max

    def _image(self, node: Any, placed: bool = True) -> None:
        attributes = node.attributes
        source = (attributes.get("src") or "").strip()
        addresses = [Address(source, "img")] if source else []
        if self._full():
            if addresses:
                self._walk.pictures.append(Picture(addresses))
            return
        addresses += of_attributes(attributes)
        around = list(_around(node))
        tags = [tag for tag, _ in around[:3]]
        if tags[:1] == ["picture"]:
            addresses += self._of_picture(around[0][1])
        link = around[tags.index("a")][1].attributes if "a" in tags else None
        if link is not None and (full := full_picture(link.get("href"))) is not None:
            addresses.append(Address(full, "link"))
        if not addresses:
            return
        if "noscript" in tags and self._joins_lazy_twin(around[tags.index("noscript")][1], addresses, attributes):
            return
        style = attributes.get("style") or ""
        picture = Picture(
            addresses,
            clean(attributes.get("alt")),
            clean(attributes.get("title")) or (clean(link.get("title")) if link is not None else None),
            width=declared(attributes.get("width"), style, "width"),
            height=declared(attributes.get("height"), style, "height"),
        )
        self._add(picture, node if placed else None, around)
        self._by_node[node.mem_id] = picture

    def _of_picture(self, picture: Any) -> list[Address]:
        """Addresses of the sources of a `<picture>`; only its first image has them."""
        if picture.mem_id in self._pictures:
            return []
        self._pictures.add(picture.mem_id)
        return of_sources(picture)

    def _joins_lazy_twin(self, noscript: Any, addresses: list[Address], attributes: dict[str, str | None]) -> bool:
        """Whether an image in `<noscript>` is the plain form of the picture before it, and then told to that."""
        lazy = self._lazy_twin(noscript)
        if lazy is None or any(one.source == "noscript" for one in lazy.addresses):
            return False
        for address in addresses:
            address.source = "noscript" if address.source == "img" else address.source
        lazy.addresses += addresses
        lazy.alt = lazy.alt or clean(attributes.get("alt"))
        return True

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
        self._add(picture, node, list(_around(node)))


def _around(node: Any) -> Iterator[tuple[str, Any]]:
    """The elements around a node with their names, nearest first, a few of them."""
    for _ in range(_CLIMB):
        node = node.parent
        if node is None or (tag := node.tag) in _OUTSIDE:
            return
        yield tag, node
