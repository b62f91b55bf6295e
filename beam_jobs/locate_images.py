"""Index step: the addresses of places to the images that archives and fetching gave for them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beam_jobs.index_step import Message
from beam_jobs.session import asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.pages.addresses import match_key

#: Images of archives go before fetched ones: they are of the page's time.
_RANK = {"archive": 0, "data": 0, "fetched": 1}
_IMAGE = b"i"
_NAMED = b"n"
_COUNT = struct.Struct("<I")


@dataclass(frozen=True)
class Located:
    """What an address leads to: an image, and on how many pages of the crawl the address is named."""

    image_id: str
    named_by: int
    opt_out: str | None

    def pack(self) -> bytes:
        """As an index step's answer."""
        return bytes.fromhex(self.image_id) + _COUNT.pack(self.named_by) + (self.opt_out or "").encode()

    @classmethod
    def unpack(cls, data: bytes) -> Located:
        """Read what `pack` wrote."""
        return cls(data[:32].hex(), _COUNT.unpack(data[32:36])[0], data[36:].decode() or None)


@dataclass(frozen=True)
class LocateTask:
    """A shard that has images to tell of and, with a `number`, places whose addresses it asks for."""

    job: str
    key: str
    number: int | None = None


@dataclass(frozen=True)
class LocateImages:
    """Addresses to images, each asked for once a shard."""

    workspace: Workspace
    name: str = "locate_images"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Images by address; addresses of places with the number of the shard's pages that name them."""
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        told = set()
        for row in rows(self.workspace, manifest, "images", ["url", "image_id", "source", "opt_out"]):
            image = bytes([_RANK[row["source"]]]) + bytes.fromhex(row["image_id"])
            # Records have addresses as their crawler wrote them, pages as their authors did.
            told.add((match_key(row["url"]), _IMAGE + image + (row["opt_out"] or "").encode()))
        for url, value in sorted(told):
            yield url, "", value
        if task.number is None:
            return
        named: dict[str, set[str]] = {}
        for row in rows(self.workspace, manifest, "page_images", ["page_id", "url"]):
            named.setdefault(match_key(row["url"]), set()).add(row["page_id"])
        for url, pages in named.items():
            yield url, asker(task.number), _NAMED + _COUNT.pack(len(pages))

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The image of the smallest rank, then of the smallest id; an address without an image has no answer."""
        images = [value[1:] for value in values if value[:1] == _IMAGE]
        if not images:
            return
        best = min(images)
        named = sum(_COUNT.unpack(value[1:])[0] for value in values if value[:1] == _NAMED)
        located = Located(best[1:33].hex(), named, best[33:].decode() or None).pack()
        for one in askers:
            yield one, located
