"""Tombstones: what was taken down stays away, and the list of it gives no address away.

Addresses and hosts are stored as hashes. Whoever publishes can check their own rows against them, and nobody can read
from a published list what an owner asked to be removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from schemas.ids import digest
from schemas.storage import Folder

#: Name of the list, in a dataset's folder and in a run's `_work`.
TOMBSTONES = "tombstones.json"
_PORTS = {"http": 80, "https": 443}


def normal_url(url: str) -> str:
    """The form in which addresses are compared: without scheme, fragment, user and default port, host in lowercase,
    percent-encoding evened out. `http` and `https` addresses of one page are one."""
    parts = urlsplit(url.strip())
    host = normal_host(parts.hostname or "")
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is not None and port != _PORTS.get(parts.scheme.lower()):
        host = f"{host}:{port}"
    path = quote(unquote(parts.path), safe="/%:@!$&'()*+,;=~") or "/"
    return f"{host}{path}?{parts.query}" if parts.query else f"{host}{path}"


def normal_host(host: str) -> str:
    """A host name in lowercase ASCII, without a final dot."""
    host = host.strip().rstrip(".").lower()
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def host_suffixes(host: str) -> list[str]:
    """`a.b.example` → itself, `b.example`, `example`: the hosts whose take-down covers it."""
    labels = normal_host(host).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was taken down: addresses, hosts (with all below them), and image ids (as they are)."""

    urls: frozenset[str] = field(default_factory=frozenset)
    hosts: frozenset[str] = field(default_factory=frozenset)
    image_ids: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, urls: Iterable[str] = (), hosts: Iterable[str] = (), image_ids: Iterable[str] = ()) -> Tombstones:
        """Tombstones of plain addresses, host names and image ids."""
        return cls(
            frozenset(_hash("url", normal_url(url)) for url in urls),
            frozenset(_hash("host", normal_host(host)) for host in hosts),
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
            host = urlsplit(url.strip()).hostname or ""
        except ValueError:
            return False
        return any(_hash("host", suffix) in self.hosts for suffix in host_suffixes(host))

    def covers_image(self, image_id: str, url: str | None) -> bool:
        """Whether an image was taken down, by its address or by its id."""
        return image_id in self.image_ids or self.covers_url(url)

    def images_of(self, row: Mapping[str, Any]) -> set[str]:
        """Ids of the images of a triplet that are covered themselves."""
        pairs = ((row["query_image_id"], row["query_image_url"]), (row["target_image_id"], row["target_image_url"]))
        return {image_id for image_id, url in pairs if self.covers_image(image_id, url)}

    def covers_triplet(self, row: Mapping[str, Any]) -> bool:
        """Whether a triplet's page or one of its images was taken down."""
        return self.covers_url(row["page_url"]) or bool(self.images_of(row))

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
            data = folder.read_json(TOMBSTONES)
        except (FileNotFoundError, NotADirectoryError):
            continue
        result |= Tombstones(frozenset(data["urls"]), frozenset(data["hosts"]), frozenset(data["image_ids"]))
    return result


def add_tombstones(folder: Folder, more: Tombstones) -> Tombstones:
    """Add to the list in `folder` and return the whole; the file is replaced at once."""
    whole = read_tombstones(folder) | more
    folder.replace(TOMBSTONES, whole.to_bytes())
    return whole


def _hash(kind: str, value: str) -> str:
    return digest("tombstone", kind, value)
