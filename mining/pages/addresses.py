"""Addresses on pages: resolved as browsers do, and the form in which two spellings of one address meet."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import tldextract

_CONTROL = re.compile(r"[\t\r\n]")
_EXTRACT = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
_PORTS = {"http": "80", "https": "443"}
#: Characters of a path or query that stay as they are; % too, so that what is quoted is not quoted again.
_SAFE = "!#$%&'()*+,/:;=?@[]~"
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_MAX_ADDRESS = 4096
#: References that only stand behind the base's folder: no scheme, host, query, dots to follow or empty segments.
_PLAIN = re.compile(r"[\w%~-][\w%~.-]*(?:/[\w%~-][\w%~.-]*)*", re.ASCII)


class BadAddressError(ValueError):
    """No address of an image: the message is the snake_case reason."""


def resolve(base: str, reference: str) -> str:
    """The address that `reference` means on a page at `base`, without its fragment, otherwise as written.

    Raises BadAddressError: `bad_address`, `address_too_long`, `scheme_not_allowed` (anything but http and https).
    """
    reference = _CONTROL.sub("", reference.strip(" \t\r\n\f"))
    if len(reference) > _MAX_ADDRESS:
        raise BadAddressError("address_too_long")
    if _PLAIN.fullmatch(reference):
        return _folder(base) + reference
    try:
        address = urljoin(base, reference).partition("#")[0]
        parts = urlsplit(address)
        # Only reading the port shows that it is none.
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadAddressError("bad_address") from error
    if parts.scheme not in ("http", "https"):
        raise BadAddressError("scheme_not_allowed" if parts.scheme else "bad_address")
    if not reference or not host:
        raise BadAddressError("bad_address")
    return address


@lru_cache(maxsize=64)
def _folder(base: str) -> str:
    """Everything of a base address that stands before a plain reference; BadAddressError as in `resolve`."""
    return resolve(base, "./")


def match_key(address: str) -> str:
    """The form in which an address of a page meets the address of a record: scheme and host in lower case, no default
    port, dots and backslashes in the path resolved, unsafe characters percent-encoded (UTF-8) and unreserved ones not,
    percent signs upper case, no fragment."""
    address = address.partition("#")[0]
    if "\\" in address:
        # Browsers take a backslash before the query for a slash.
        before, mark, query = address.partition("?")
        address = before.replace("\\", "/") + mark + query
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
        port = parts.port
    except (ValueError, UnicodeError):
        return address
    if ":" in host:
        host = f"[{host}]"
    scheme = parts.scheme.lower()
    if port is not None and str(port) != _PORTS.get(scheme):
        host = f"{host}:{port}"
    path = _percents(quote(parts.path, safe=_SAFE)) or "/"
    if "/." in path:
        path = _without_dots(path)
    return urlunsplit((scheme, host, path, _percents(quote(parts.query, safe=_SAFE)), ""))


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == ".." and kept:
            kept.pop()
        elif segment not in (".", ".."):
            kept.append(segment)
    return f"/{'/'.join(kept)}{'/' if segments[-1] in ('.', '..') and kept else ''}"


@lru_cache(maxsize=4096)
def _site_of_host(host: str, port: int | None) -> str:
    domain = _EXTRACT(host).top_domain_under_public_suffix
    return domain or (f"{host}:{port}" if port is not None else host)


def site_of(address: str) -> str:
    """Registrable domain of an address's host, or host:port for addresses of machines and names without one."""
    try:
        parts = urlsplit(address)
        return _site_of_host((parts.hostname or "").lower(), parts.port)
    except ValueError:
        return ""


def _percents(text: str) -> str:
    return _PERCENT.sub(_percent, text) if "%" in text else text


def _percent(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if character in _UNRESERVED else found[0].upper()
