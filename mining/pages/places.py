"""The pictures of a page: for each the addresses that its markup names, and the words around it.

One walk in document order over pictures and headings, whose cost is linear in the page; what stands around a picture
is looked up among a few ancestors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mining.pages.srcset import parse_srcset

#: Attributes in which scripts that load pictures late keep the address.
LAZY_SOURCES = (
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-echo",
    "data-hi-res-src",
    "data-full-src",
    "data-large-file",
    "data-orig-file",
    "data-image",
)
LAZY_SRCSETS = ("data-srcset", "data-lazy-srcset")
IMAGE_PATH = re.compile(r"\.(?:jpe?g|png|gif|webp|bmp|tiff?|avif|jp2)(?:[?#]|$)", re.IGNORECASE)
_STYLE_URL = re.compile(r"background(?:-image)?\s*:[^;]*?url\(\s*(['\"]?)(.*?)\1\s*\)", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(\d{1,5})(?:\.\d+)?(?:px)?\s*$")
_STYLE_LENGTH = {side: re.compile(rf"(?:^|;)\s*{side}\s*:\s*(\d{{1,5}})(?:\.\d+)?px") for side in ("width", "height")}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MET = "img, h1, h2, h3, h4, h5, h6, meta"
_STYLED = ", [style*='url(']"
_UNSEEN = ["script", "style", "template", "title", "textarea", "iframe"]
#: What marks a picture's place in the text: HTML parsers let no such character into a tree.
_MARK = "\x00"
_NO_CONTENT = frozenset({"html", "body", "table", "tr", "td", "th", "header", "footer", "nav", "button", "input"})
_CAPTION_BOX = re.compile(r"figure|thumb|caption|gallery|image", re.IGNORECASE)
_CAPTIONS = "figcaption, [class*=caption], [class*=gallerytext], [class*=legend]"
_CLIMB = 5
_MAX_CAPTIONS = 5000
AROUND = 300
_TEXT = 500


@dataclass
class Address:
    """One address that the markup of a picture names, as it is written, and which markup that is."""

    reference: str
    source: str
    size: float = 0.0


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


def walk(root: Any, max_pictures: int, *, styles: bool = True, text: bool = True) -> PageWalk:
    """Walk a tree (selectolax' lexbor nodes). After `max_pictures` pictures only their plain addresses are taken.

    `styles` is whether the markup has inline backgrounds at all, `text` whether the running text is wanted even
    without pictures: both cost time. The tree loses its scripts and gains marks: read anything else from it before."""
    return _Walker(max_pictures).walk(root, styles, text)


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
        self._captions: dict[int, str] | None = None

    def walk(self, root: Any, styles: bool, text: bool) -> PageWalk:
        before = 0
        self._root = root
        for node in root.css(_MET + _STYLED if styles else _MET):
            # A node that two selectors match comes twice.
            if node.mem_id == before:
                continue
            before = node.mem_id
            tag = node.tag
            if tag == "img":
                self._image(node)
            elif tag in _HEADINGS:
                self._heading(_HEADINGS[tag], node)
            elif tag == "meta":
                self._open_graph(node)
            if styles and tag not in ("img", "meta"):
                self._style(node)
        if text or self._marked:
            self._read_text(root)
        return self._walk

    def _read_text(self, root: Any) -> None:
        """The page's text with single blanks, and each picture's place in it."""
        for node, _ in self._marked:
            node.insert_before(_MARK)
        root.strip_tags(_UNSEEN)
        text = " ".join(root.text(separator=" ").split())
        pieces = f"{text} ".split(f"{_MARK} ")
        self._walk.text = "".join(pieces)
        offset = 0
        for piece, (_, picture) in zip(pieces, self._marked, strict=False):
            offset += len(piece)
            picture.offset = offset

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

    def _add(self, picture: Picture, node: Any = None) -> None:
        picture.heading = self._headings
        self._walk.pictures.append(picture)
        if node is not None:
            self._marked.append((node, picture))

    def _image(self, node: Any) -> None:
        attributes = node.attributes
        addresses = [Address(attributes["src"].strip(), "img")] if (attributes.get("src") or "").strip() else []
        if len(self._walk.pictures) >= self._max:
            if addresses:
                self._walk.pictures.append(Picture(addresses))
            return
        addresses += _of_attributes(attributes)
        ancestors = list(_ancestors(node))
        addresses += _of_picture(ancestors)
        if (link := _full_picture(ancestors)) is not None:
            addresses.append(Address(link, "link"))
        if not addresses:
            return
        noscript = next((one for one in ancestors[:3] if one.tag == "noscript"), None)
        lazy = self._lazy_twin(noscript) if noscript is not None else None
        if lazy is not None:
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
            self._caption(ancestors),
            width=_declared(attributes.get("width"), style, "width"),
            height=_declared(attributes.get("height"), style, "height"),
        )
        self._add(picture, node)
        self._by_node[node.mem_id] = picture

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
        if name in ("og:image", "og:image:url") and content:
            self._add(Picture([Address(content, "og")]))

    def _caption(self, ancestors: Iterable[Any]) -> str | None:
        """The caption in the nearest box around a picture that is made for one."""
        for node in ancestors:
            if node.tag == "figure" or _CAPTION_BOX.search(node.attributes.get("class") or ""):
                if self._captions is None:
                    self._captions = _captions(self._root)
                if (text := self._captions.get(node.mem_id)) is not None:
                    return text
        return None

    def _style(self, node: Any) -> None:
        """An inline background of a box that is no furniture."""
        attributes = node.attributes
        found = _STYLE_URL.search(attributes.get("style") or "")
        if found is None or not found[2].strip() or node.tag in _NO_CONTENT or len(self._walk.pictures) >= self._max:
            return
        label = clean(attributes.get("aria-label")) or clean(attributes.get("title"))
        caption = self._caption(_ancestors(node))
        self._add(Picture([Address(found[2].strip(), "style")], alt=label, caption=caption), node)


def _ancestors(node: Any) -> Iterator[Any]:
    for _ in range(_CLIMB):
        node = node.parent
        if node is None or node.tag in ("body", "html", "-document"):
            return
        yield node


def _captions(root: Any) -> dict[int, str]:
    """The first caption in each box, by the box's node, read once for a page."""
    found: dict[int, str] = {}
    seen: set[int] = set()
    for node in root.css(_CAPTIONS)[:_MAX_CAPTIONS]:
        ancestors = list(_ancestors(node))
        seen.add(node.mem_id)
        # A box whose class says caption may hold the caption proper; what nests deeper would be read again and again.
        if sum(one.mem_id in seen for one in ancestors) > 1:
            continue
        if (text := clean(node.text())) is not None:
            for one in ancestors:
                found.setdefault(one.mem_id, text)
    return found


def _of_attributes(attributes: dict[str, str | None]) -> list[Address]:
    """Addresses in `srcset` and in the attributes of scripts that load late."""
    srcset = attributes.get("srcset")
    found = [Address(url, "srcset", size) for url, size in parse_srcset(srcset)] if srcset else []
    if any(name.startswith("data-") for name in attributes):
        for name in LAZY_SOURCES:
            value = (attributes.get(name) or "").strip()
            if value and not value.startswith(("{", "[")):
                found.append(Address(value, "lazy"))
        for name in LAZY_SRCSETS:
            found += [Address(url, "lazy", size) for url, size in parse_srcset(attributes.get(name) or "")]
    return found


def _of_picture(ancestors: list[Any]) -> list[Address]:
    """Addresses of the `<source>` elements of a `<picture>` around the image."""
    if not ancestors or ancestors[0].tag != "picture":
        return []
    found = []
    for source in ancestors[0].css("source"):
        attributes = source.attributes
        for name in ("srcset", *LAZY_SRCSETS):
            found += [Address(url, "picture", size) for url, size in parse_srcset(attributes.get(name) or "")]
    return found


def _full_picture(ancestors: list[Any]) -> str | None:
    """Where a link around a thumbnail leads, if that is a picture."""
    for node in ancestors[:3]:
        if node.tag == "a":
            href = (node.attributes.get("href") or "").strip()
            return href if IMAGE_PATH.search(href) else None
    return None


def _link_title(ancestors: list[Any]) -> str | None:
    return next((clean(one.attributes.get("title")) for one in ancestors[:3] if one.tag == "a"), None)


def _declared(value: str | None, style: str, side: str) -> int | None:
    found = _LENGTH.match(value) if value else None
    found = found or _STYLE_LENGTH[side].search(style)
    return int(found[1]) if found else None
