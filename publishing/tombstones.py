"""Tombstones: what was taken down stays away, and the list of it gives no address away.

Addresses and hosts are stored as hashes. Whoever publishes can check their own rows against them, and nobody can read
from a published list what an owner asked to be removed.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.storage import Folder

#: Name of the list, in a dataset's folder and in a run's `_work`.
TOMBSTONES = "tombstones.json"
_PORTS = {"http": 80, "https": 443}


_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SAFE = "/%:@!$&'()*+,;=~?"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def normal_url(url: str) -> str:
    """The form in which addresses are compared: without scheme, fragment, user and default port, host in lowercase,
    percent-encoding evened out. `http` and `https` addresses of one page are one. What cannot be read as an address is
    compared as it stands.
    """
    url = _bare(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    host, port = normal_host(parts.hostname or ""), _port(parts)
    if ":" in host:
        host = f"[{host}]"
    if port is not None and port != _PORTS.get(parts.scheme.lower()):
        host = f"{host}:{port}"
    path = _even(parts.path) or "/"
    return f"{host}{path}?{_even(parts.query)}" if parts.query else f"{host}{path}"


def normal_host(host: str) -> str:
    """A host name in lowercase ASCII, without a final dot."""
    host = host.strip().rstrip(".").lower()
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def host_suffixes(host: str) -> list[str]:
    """`a.b.example` → itself, `b.example`, `example`: the hosts whose take-down covers it. An IP address has itself."""
    host = normal_host(host)
    if _is_ip(host):
        return [host]
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def host_of_entry(entry: str) -> str:
    """A host as an owner may write it (`Example.org`, `*.example.org`, `example.org:8080`, an address) in the form
    that is hashed: with a port it stands for that port alone. Raises ConfigurationError for what names no host."""
    text = _bare(entry).removeprefix("*.").removeprefix(".")
    if text.count(":") > 1 and _is_ip(text):
        text = f"[{text}]"
    try:
        parts = urlsplit(text if _SCHEME.match(text) else f"//{text}")
        host, port = normal_host(parts.hostname or ""), parts.port
    except ValueError:
        host, port = "", None
    if not host or any(one.isspace() for one in host):
        raise ConfigurationError(f"{entry!r} is no host: name one such as example.org or example.org:8080.")
    return host if port is None else f"{host}:{port}"


def address_of_entry(entry: str) -> str:
    """An address as an owner may write it (the scheme may be missing), whole. Raises ConfigurationError for what names
    no address."""
    text = _bare(entry)
    if not _SCHEME.match(text) and not text.startswith("data:"):
        text = f"http://{text.removeprefix('//')}"
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not (host or text.startswith("data:")) or any(one.isspace() for one in host or ""):
        raise ConfigurationError(f"{entry!r} is no address: name one such as https://example.org/page.html.")
    return text


def _bare(text: str) -> str:
    """Without blanks and the angle brackets that some archives write around addresses."""
    return text.strip().removeprefix("<").removesuffix(">").strip()


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _even(text: str) -> str:
    """Percent-encoding in one way: what needs none has none, what needs it is UTF-8 in capitals. Other bytes than UTF-8
    stay what they are, so that two addresses are never taken for one."""
    quoted = quote(text, safe=_SAFE, errors="surrogatepass")
    return re.sub(r"%([0-9A-Fa-f]{2})", _even_escape, quoted)


def _even_escape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else f"%{found[1].upper()}"


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was taken down: addresses, hosts (with all below them, on every port unless one is named), and
    image ids (as they are)."""

    urls: frozenset[str] = field(default_factory=frozenset)
    hosts: frozenset[str] = field(default_factory=frozenset)
    image_ids: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, urls: Iterable[str] = (), hosts: Iterable[str] = (), image_ids: Iterable[str] = ()) -> Tombstones:
        """Tombstones of addresses, host names and image ids as people write them. Raises ConfigurationError for what
        is none."""
        return cls(
            frozenset(_hash("url", normal_url(address_of_entry(url))) for url in urls),
            frozenset(_hash("host", host_of_entry(host)) for host in hosts),
            frozenset(image_ids),
        )

    def __bool__(self) -> bool:
        return bool(self.urls or self.hosts or self.image_ids)

    def __or__(self, other: Tombstones) -> Tombstones:
        return Tombstones(self.urls | other.urls, self.hosts | other.hosts, self.image_ids | other.image_ids)

    def covers_url(self, url: str | None) -> bool:
        """Whether an address, or its host or one above it, was taken down."""
        if not url:
            return False
        if self.urls and _hash("url", normal_url(url)) in self.urls:
            return True
        if not self.hosts:
            return False
        try:
            parts = urlsplit(_bare(url))
        except ValueError:
            return False
        port = _port(parts) or _PORTS.get(parts.scheme.lower())
        suffixes = host_suffixes(parts.hostname or "")
        return any(_hash("host", name) in self.hosts for one in suffixes for name in (one, f"{one}:{port}"))

    def covers_image(self, image_id: str, url: str | None) -> bool:
        """Whether an image was taken down, by its address or by its id."""
        return image_id in self.image_ids or self.covers_url(url)

    def images_of(self, row: Mapping[str, Any]) -> set[str]:
        """Ids of the images of a triplet that are covered themselves."""
        pairs = ((row["query_image_id"], row["query_image_url"]), (row["target_image_id"], row["target_image_url"]))
        return {image_id for image_id, url in pairs if self.covers_image(image_id, url)}

    def covers_triplet(self, row: Mapping[str, Any]) -> bool:
        """Whether a triplet's page, its target's page or one of its images was taken down."""
        return self.covers_pages(row) or bool(self.images_of(row))

    def covers_pages(self, row: Mapping[str, Any]) -> bool:
        """Whether a triplet's page, or that of its target where it is another one, was taken down."""
        return self.covers_url(row["page_url"]) or self.covers_url(row.get("target_page_url"))

    def to_bytes(self) -> bytes:
        """The list as its file holds it."""
        data = {
            "format": 1,
            "about": "SHA-256 hashes of addresses and hosts that were taken down; later publications honour them",
            "urls": sorted(self.urls),
            "hosts": sorted(self.hosts),
            "image_ids": sorted(self.image_ids),
        }
        return json.dumps(data, indent=1).encode()


def read_tombstones(*folders: Folder) -> Tombstones:
    """The union of the lists in these folders (a dataset, a run's `_work`); an absent list is empty."""
    result = Tombstones()
    for folder in folders:
        try:
            text = folder.read(TOMBSTONES).decode()
        except (FileNotFoundError, NotADirectoryError):
            continue
        result |= parse_tombstones(text, folder.at(TOMBSTONES))
    return result


def parse_tombstones(text: str, path: str) -> Tombstones:
    """The list that `Tombstones.to_bytes` wrote. Raises ConfigurationError, which names `path`, for anything else."""
    try:
        data = json.loads(text)
        return Tombstones(frozenset(data["urls"]), frozenset(data["hosts"]), frozenset(data["image_ids"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no list of tombstones: mend it, or remove it if nothing is in it."
        ) from error


def add_tombstones(folder: Folder, more: Tombstones) -> Tombstones:
    """Add to the list in `folder` and return the whole; the file is replaced at once."""
    whole = read_tombstones(folder) | more
    folder.replace(TOMBSTONES, whole.to_bytes())
    return whole


def _hash(kind: str, value: str) -> str:
    return digest("tombstone", kind, value)
