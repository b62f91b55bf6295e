"""One HTML capture to rows: of `pages`, of `page_images`, and of `images` for pictures in the markup itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_to_bytes, urljoin

from selectolax.lexbor import LexborHTMLParser

from mining.fetching.media_type import image_type
from mining.opt_out import OptOutList, joined, response_directives, signals
from mining.pages.addresses import BadAddressError, resolve, site_of
from mining.pages.alternates import page_alternates
from mining.pages.charset import decode_page
from mining.pages.costly_markup import tame
from mining.pages.met import meet
from mining.pages.page import detected_language, read_head, stated_language
from mining.pages.picture import Picture
from mining.pages.places import walk
from schemas.ids import image_id, page_id, payload_digest
from schemas.outcomes import Outcomes


@dataclass(frozen=True)
class Capture:
    """A page as it was captured."""

    url: str
    body: bytes
    headers: Sequence[tuple[str, str]]
    date: datetime | None
    archive_name: str

    def header_values(self, name: str) -> list[str]:
        """All headers of this (lower-case) name."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True)
class PageLimits:
    """Limits of one page: bytes of markup that are parsed, pictures that are looked at, bytes of an inline image."""

    html_bytes: int
    places: int
    data_uri_bytes: int


def page_rows(capture: Capture, agent: str, opt_outs: OptOutList, limits: PageLimits, outcomes: Outcomes) -> None:
    """Read a page: rows and units `page`, `place` (every address that its markup names) and `image` (inline ones).

    Places are rejected as `bad_address`, `address_too_long`, `scheme_not_allowed`, `data_uri_too_large`,
    `data_uri_no_image`, `page_place_cap`.
    """
    outcomes.entered("page")
    text, charset = decode_page(capture.body[: limits.html_bytes], _first(capture.header_values("content-type")))
    root = LexborHTMLParser(tame(text)).root
    digest = payload_digest(capture.body)
    page = page_id(capture.url, digest)
    if root is None:
        outcomes.rejected("page", "no_markup", id=page, url=capture.url)
        return
    met = meet(root)
    head = read_head(root, met, agent)
    stated = stated_language(head, capture.header_values("content-language"))
    found = walk(root, met, limits.places, text=stated is None)
    directives = head.directives | response_directives(capture.headers, agent)
    refused = signals(directives) | ({"list"} if named_by(opt_outs, capture.url) else set())
    base = _base(capture.url, head.base)
    outcomes.row(
        "pages",
        {
            "page_id": page,
            "url": capture.url,
            "title": head.title,
            "description": head.description,
            "language": stated or detected_language(found.text),
            "canonical": _resolved(base, head.canonical),
            "license": _resolved(base, head.license) if head.license_link else head.license,
            "opt_out": joined(refused),
            "robots": ",".join(sorted(directives)) or None,
            "crawl_date": capture.date,
            "warc_file": capture.archive_name,
            "payload_digest": digest,
            "charset": charset,
            "site": site_of(capture.url),
            "alternates": [
                {"language": language, "url": url}
                for language, url in page_alternates(base, met, capture.header_values("link"))
            ],
        },
    )
    _PlaceRows(page, base, capture, limits, outcomes).write(found.pictures, found.around)
    outcomes.kept("page")
    outcomes.out("page")


def named_by(opt_outs: OptOutList, url: str) -> bool:
    """Whether the user's list names an address."""
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
    return opt_outs.names(url, host.partition(":")[0], host)


@dataclass
class _Addresses:
    """The distinct addresses of a picture with their markup, the preferred one, and how many there were."""

    sources: dict[str, str] = field(default_factory=dict)
    chosen: str | None = None
    kept: int = 0


class _PlaceRows:
    """Rows of `page_images`, one for each distinct address of a picture, in document order."""

    def __init__(self, page: str, base: str, capture: Capture, limits: PageLimits, outcomes: Outcomes) -> None:
        self._page, self._base, self._capture, self._limits = page, base, capture, limits
        self._outcomes = outcomes
        self._position = 0

    def write(self, pictures: Sequence[Picture], around: Callable[[Picture], tuple[str | None, str | None]]) -> None:
        """Write the rows of all pictures of the page."""
        entered = kept = 0
        for group, picture in enumerate(pictures):
            entered += len(picture.addresses)
            if group >= self._limits.places:
                for address in picture.addresses:
                    self._reject("page_place_cap", address.reference)
                continue
            found = self._addresses(picture)
            kept += found.kept
            if not found.sources:
                continue
            before, after = around(picture)
            for url, source in found.sources.items():
                row = {
                    "page_id": self._page,
                    "position": self._position,
                    "url": url,
                    "alt": picture.alt,
                    "title": picture.title,
                    "caption": picture.caption,
                    "heading": picture.heading,
                    "text_before": before,
                    "text_after": after,
                    "declared_width": picture.width,
                    "declared_height": picture.height,
                    "source": source,
                    "group": group,
                    "chosen": url == found.chosen,
                }
                self._outcomes.row("page_images", row)
                self._position += 1
        if entered:
            self._outcomes.entered("place", entered)
            self._outcomes.kept("place", kept)
            self._outcomes.out("place", self._position)

    def _addresses(self, picture: Picture) -> _Addresses:
        """The addresses of a picture, resolved; those that are none are rejected."""
        found = _Addresses()
        preferred = picture.addresses[picture.chosen].reference
        for address in picture.addresses:
            try:
                url, source = self._address(address.reference, address.source)
            except BadAddressError as error:
                self._reject(str(error), address.reference)
                continue
            found.kept += 1
            if found.chosen is None and address.reference == preferred and source != "data":
                found.chosen = url
            found.sources.setdefault(url, source)
        if found.sources and found.chosen is None:
            # What was preferred is no address: the first one that is.
            outside = (url for url, source in found.sources.items() if source != "data")
            found.chosen = next(outside, next(iter(found.sources)))
        return found

    def _address(self, reference: str, source: str) -> tuple[str, str]:
        if reference[:5].lower() == "data:":
            return self._inline(reference), "data"
        return resolve(self._base, reference), source

    def _inline(self, reference: str) -> str:
        """An image in the markup itself becomes a row of `images`, and its address one that names its content."""
        head, comma, data = reference.partition(",")
        # Three characters a byte at most, where all are percent-encoded.
        if len(data) > self._limits.data_uri_bytes * 3:
            raise BadAddressError("data_uri_too_large")
        try:
            body = unquote_to_bytes(data)
            if head.rstrip().lower().endswith(";base64"):
                body = b"".join(body.split())
                body = base64.b64decode(body + b"=" * (-len(body) % 4))
        except (binascii.Error, ValueError) as error:
            raise BadAddressError("data_uri_no_image") from error
        if len(body) > self._limits.data_uri_bytes:
            raise BadAddressError("data_uri_too_large")
        kind = image_type(body) if comma else None
        if kind is None or kind == "image/svg+xml":
            raise BadAddressError("data_uri_no_image")
        one = image_id(body)
        url = f"data:{kind};sha256,{one}"
        self._outcomes.entered("image")
        self._outcomes.row(
            "images",
            {
                "image_id": one,
                "url": url,
                "bytes": body,
                "mime": kind,
                "source": "data",
                "opt_out": None,
                "crawl_date": self._capture.date,
            },
        )
        self._outcomes.kept("image")
        self._outcomes.out("image")
        return url

    def _reject(self, reason: str, reference: str) -> None:
        name = f"{self._page}:{self._position}"
        self._outcomes.rejected("place", reason, id=name, url=self._capture.url, detail=reference[:200])


def _first(values: Sequence[str]) -> str | None:
    return values[0] if values else None


def _base(url: str, href: str | None) -> str:
    if href is None:
        return url
    try:
        base = urljoin(url, href)
    except ValueError:
        return url
    return base if base.startswith(("http://", "https://")) else url


def _resolved(base: str, reference: str | None) -> str | None:
    if reference is None:
        return None
    try:
        return resolve(base, reference)
    except BadAddressError:
        return None
