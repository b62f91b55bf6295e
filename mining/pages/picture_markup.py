"""The addresses that the markup of one picture names, and which markup that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mining.pages.srcset import parse_srcset

#: Attributes in which scripts that load pictures late keep the address.
LAZY_SOURCES = (
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-lazyload",
    "data-actualsrc",
    "data-echo",
    "data-hi-res-src",
    "data-full-src",
    "data-large-file",
    "data-orig-file",
    "data-image",
)
LAZY_SRCSETS = ("data-srcset", "data-lazy-srcset")
#: Alternatives of one picture that are looked at: pages offer a dozen sizes, attacks a million.
MAX_ALTERNATIVES = 64
_IMAGE_PATH = re.compile(r"\.(?:jpe?g|png|gif|webp|bmp|tiff?|avif|jp2)(?:[?#]|$)", re.IGNORECASE)
#: A page about a file, as wikis have them: `/wiki/File:Hill.jpg`.
_FILE_PAGE = re.compile(r"[/=]\w+(?::|%3A)[^/]*$", re.IGNORECASE)
#: A gradient or a position may stand before the picture.
_BACKGROUND = re.compile(r"background(?:-image)?\s{0,9}:[^;]{0,200}?url\(", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(\d{1,5})(?:\.\d+)?(?:px)?\s*$")
_STYLE_LENGTH = {side: re.compile(rf"(?:^|;)\s*{side}\s*:\s*(\d{{1,5}})(?:\.\d+)?px") for side in ("width", "height")}


@dataclass
class Address:
    """One address as it is written, which markup it stands in, and its size: pixels, or density × 1000."""

    reference: str
    source: str
    size: float = 0.0


def of_attributes(attributes: dict[str, str | None]) -> list[Address]:
    """Addresses in `srcset` and in the attributes of scripts that load late."""
    srcset = attributes.get("srcset")
    found = [Address(url, "srcset", size) for url, size in parse_srcset(srcset, MAX_ALTERNATIVES)] if srcset else []
    if any(name.startswith("data-") for name in attributes):
        for name in LAZY_SOURCES:
            value = (attributes.get(name) or "").strip()
            # Some scripts keep numbers, flags or JSON there.
            if ("/" in value or "." in value) and not value.startswith(("{", "[")):
                found.append(Address(value, "lazy"))
        for name in LAZY_SRCSETS:
            value = attributes.get(name) or ""
            found += [Address(url, "lazy", size) for url, size in parse_srcset(value, MAX_ALTERNATIVES)]
    return found


def of_sources(picture: Any) -> list[Address]:
    """Addresses of the `<source>` elements of a `<picture>`."""
    found: list[Address] = []
    for source in picture.css("source"):
        attributes = source.attributes
        for name in ("srcset", *LAZY_SRCSETS):
            value = attributes.get(name) or ""
            found += [Address(url, "picture", size) for url, size in parse_srcset(value, MAX_ALTERNATIVES)]
        if len(found) >= MAX_ALTERNATIVES:
            break
    return found


def full_picture(href: str | None) -> str | None:
    """Where the link around a thumbnail leads, if that is a picture."""
    href = (href or "").strip()
    return href if _IMAGE_PATH.search(href) and not _FILE_PAGE.search(href.partition("?")[0]) else None


def of_style(style: str | None) -> str | None:
    """The address of the first background picture of an inline style."""
    found = _BACKGROUND.search(style or "")
    if style is None or found is None:
        return None
    inner = style[found.end() :].lstrip()
    mark = inner[:1] if inner[:1] in ("'", '"') else ""
    address, closed, _ = inner[len(mark) :].partition(mark or ")")
    return (address.strip() or None) if closed else None


def declared(value: str | None, style: str, side: str) -> int | None:
    """Pixels that the attribute, or else the style, states for `width` or `height`."""
    found = _LENGTH.match(value) if value else None
    found = found or (_STYLE_LENGTH[side].search(style) if style else None)
    return int(found[1]) if found else None
