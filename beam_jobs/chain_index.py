"""Index steps of chains: who owns a request, where a store answers it already, where the images lie that it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beam_jobs.chain_rows import ChainSpec, Place, advanced, borrower, image_ids_of
from beam_jobs.image_places import ImageSource
from beam_jobs.index_step import Message, read_answers
from beam_jobs.session import asker
from beam_jobs.workspace import Workspace
from schemas.storage import Folder
from synthesis.store import answer_ids, settled_first

#: The asker that hears whether any request shows an image.
SHOWS_IMAGES = "images"
#: Places of one answer that are told, at most.
_PLACES = 3


@dataclass(frozen=True)
class OwnersStep:
    """Of all shards that ask the same the first in the plan owns the request: it asks, the others read."""

    workspace: Workspace
    spec: ChainSpec
    link: int
    plans: tuple[str, ...]

    @property
    def name(self) -> str:
        """A step for each link."""
        return f"owners.{self.spec.job(self.spec.chain.links[self.link].name)}"

    def messages(self, task: Place) -> Iterator[Message]:
        """The ids of a shard's requests."""
        chain = self.spec.chain
        found = advanced(self.workspace, self.spec, task, self.plans, chain=chain)
        ids: set[str] = set()
        shown = False
        for question in found.questions(chain.links[self.link]):
            ids |= {request.request_id for request in question.requests}
            shown = shown or bool(question.ask.image_ids)
        for request_id in sorted(ids):
            yield request_id, asker(task.number), b""
        if shown:
            yield "~", SHOWS_IMAGES, b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first shard owns it; the others hear who that is, under a name of their own."""
        yield askers[0], b""
        yield from ((borrower(int(one)), askers[0].encode()) for one in askers[1:])


@dataclass(frozen=True)
class StoreFiles:
    """Files of stores that are looked through: (folder, name)."""

    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wanted:
    """A shard with the requests that it owns."""

    number: int
    owned: str | None


@dataclass(frozen=True)
class StoredStep:
    """Which requests a store has answers to, whichever run they were for."""

    workspace: Workspace
    name: str = "stored_answers"

    def messages(self, task: StoreFiles | Wanted) -> Iterator[Message]:
        """Ids that files hold, with the file; ids that shards own."""
        if isinstance(task, Wanted):
            for request_id, _ in read_answers(self.workspace, task.owned):
                yield request_id, asker(task.number), b""
            return
        for path, name in task.files:
            for request_id, follows in sorted(set(answer_ids(Folder(path), name))):
                yield request_id, "", json.dumps([path, name, follows]).encode()

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first files with the answer and the first with one that followed upon it, to the owner; tables before
        parts."""
        if values:
            places: list[list[str]] = []
            for kind in (False, True):
                found = [place for *place, follows in map(json.loads, values) if follows is kind]
                places += [one for one in sorted(found, key=settled_first)[:_PLACES] if one not in places]
            yield from ((one, json.dumps(places).encode()) for one in askers)


@dataclass(frozen=True)
class ImagePlaces:
    """Where the images lie that the rows of a shard name."""

    workspace: Workspace
    spec: ChainSpec
    name: str = "shown_images"

    def messages(self, task: ImageSource | Place) -> Iterator[Message]:
        """Images with their place; images that a shard's rows name."""
        if isinstance(task, Place):
            for image_id in sorted(image_ids_of(self.spec.read(self.workspace, task.source))):
                yield image_id, asker(task.number), b""
            return
        yield from task.messages(self.workspace)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The first place."""
        if values:
            yield from ((one, values[0]) for one in askers)
