"""Image addresses: from what a page wrote to the one reading of it that is checked, asked and connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from mining.fetching.verdicts import StoppedError, rejected
from schemas.ids import digest

MAX_ADDRESS_LENGTH = 8192

_DEFAULT_PORTS = {"http": 80, "https": 443}
_REMOVED = re.compile(r"[\t\r\n]")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?")
#: Everything that may stand in a path or query as it is; the rest is percent-encoded as UTF-8.
_SAFE = "/%:@!$&'()*+,;=-._~?[]|^`{}"


class Address(NamedTuple):
    """One address to fetch, as `page_images.url` has it."""

    url: str


@dataclass(frozen=True)
class Target:
    """An address read once and for all; `url` is its ASCII form, without fragment or user name."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port, as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority: what one robots.txt speaks for."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The address in ASCII."""
        return self.origin + self.path


def address_id(url: str) -> str:
    """Id of an address, as outcomes name it: 32 hex digits."""
    return digest("address", url)[:32]


def read_address(url: str, base: Target | None = None) -> Target:
    """Read an address the way browsers do, or the `Location` of a redirect against its `base`.

    Raises StoppedError: rejected `bad_address` for what cannot be read, `address_refused` for other schemes than
    http and https."""
    text = _REMOVED.sub("", url).strip("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x1b\x1c\x1d\x1e\x1f ")
    if len(text) > MAX_ADDRESS_LENGTH:
        raise rejected("bad_address", f"{len(text)} characters")
    try:
        parts = urlsplit(urljoin(base.url, text) if base else text)
        scheme, port = parts.scheme, parts.port
        if scheme and scheme not in _DEFAULT_PORTS:
            raise rejected("address_refused", f"scheme {scheme[:40]}")
        host = _read_host(parts.hostname or "")
        path = quote(parts.path.replace("\\", "/") or "/", safe=_SAFE)
        query = "?" + quote(parts.query, safe=_SAFE) if parts.query else ""
    except ValueError as error:
        raise rejected("bad_address", str(error)) from error
    if not scheme:
        raise rejected("bad_address", "no scheme")
    if not path.startswith("/"):
        path = "/" + path
    return Target(scheme, host, port or _DEFAULT_PORTS[scheme], path + query)


def host_of(url: str) -> str:
    """The host of an address, with its port unless that is the scheme's own: what limits, budgets and buckets go by.

    Empty for an address that cannot be read."""
    try:
        return read_address(url).authority
    except StoppedError:
        return ""


def bucket_of(host: str, buckets: int) -> int:
    """The bucket, 0…buckets-1, that all addresses of a host are in, on every machine and in every run."""
    if buckets < 1:
        raise ValueError(f"there must be at least one bucket, not {buckets}")
    return int(digest("host", host)[:16], 16) % buckets


def _read_host(name: str) -> str:
    """A lower-case ASCII host name or a bare IP address; ValueError for anything else."""
    if ":" in name:
        # urlsplit has checked that this is a bracketed IPv6 address; a zone id would name an interface of ours.
        if "%" in name:
            raise ValueError("an IPv6 address with a zone")
        return name.lower()
    if not name.isascii():
        name = name.encode("idna").decode("ascii")
    name = name.lower().removesuffix(".")
    if not _HOST.fullmatch(name) or ".." in name:
        raise ValueError(f"host {name[:80]!r}")
    return name
