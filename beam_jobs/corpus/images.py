"""The images of a corpus: which shard searches for an image, which place stands for it, and where its facts lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from beam_jobs.index_step import NO_ANSWERS, Answers, Message, answer_map, read_answers
from beam_jobs.session import Session, asker
from beam_jobs.tables import rows, rows_at
from beam_jobs.workspace import Manifest, Workspace
from mining.corpus_pairs import Place
from schemas.crawl_tables import ELIGIBLE, SEARCHED

#: Name of the job that admits pages, whose manifests hold the corpus' images.
PAGES_JOB = "mine_pairs.pages"
_VALUE = struct.Struct(">B16sIQ")
_ROW = struct.Struct(">IHI")
#: What is read of the row of a place.
_COLUMNS = [name for name in ELIGIBLE.schema.names if name not in SEARCHED]


@dataclass(frozen=True)
class PagesShard:
    """A shard of admitted pages, and which of its images it searches for, or holds the standing place of."""

    number: int
    key: str
    digest: str = ""
    first: Answers = NO_ANSWERS
    standing: Answers = NO_ANSWERS

    @property
    def weight(self) -> int:
        """How many images it searches for."""
        return self.first.weight

    def manifest(self, workspace: Workspace) -> Manifest:
        """Its manifest."""
        return workspace.manifests(PAGES_JOB, [self.key])[0]


@dataclass(frozen=True)
class FirstShards:
    """The first shard that shows an image searches for what looks like it: shards that are added later change nothing
    for those before."""

    workspace: Workspace
    name: str = "first_shards"

    def messages(self, task: PagesShard) -> Iterator[Message]:
        """Each image of the shard."""
        found = rows(self.workspace, task.manifest(self.workspace), "eligible", ["image_id"])
        for image_id in sorted({row["image_id"] for row in found}):
            yield image_id, asker(task.number), b""

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """To the first."""
        yield askers[0], b""


@dataclass(frozen=True)
class StandingPlaces:
    """The place that stands for an image, whose text is its text: one with a text goes before others, then the smaller
    page id, so that no order of shards decides."""

    workspace: Workspace
    name: str = "standing_places"

    def messages(self, task: PagesShard) -> Iterator[Message]:
        """The best place of each image of the shard."""
        own = asker(task.number)
        best: dict[str, bytes] = {}
        columns = ["image_id", "page_id", "position", "text"]
        for row in rows(self.workspace, task.manifest(self.workspace), "eligible", columns):
            value = _VALUE.pack(not row["text"], bytes.fromhex(row["page_id"]), row["position"], task.number)
            best[row["image_id"]] = min(value, best.get(row["image_id"], value))
        for image_id in sorted(best):
            yield image_id, own, best[image_id]

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Page and position, to the shard that holds the place."""
        _, page_id, position, owner = _VALUE.unpack(values[0])
        yield asker(owner), page_id + position.to_bytes(4, "big")


def corpus_images(session: Session, mined: Sequence[Manifest], basis: str) -> list[PagesShard]:
    """The shards of admitted pages, each with the answers to it."""
    shards = [PagesShard(number, one.key, one.digest) for number, one in enumerate(mined)]
    first = session.index(FirstShards(session.workspace), shards, basis)
    standing = session.index(StandingPlaces(session.workspace), shards, basis)
    names = [asker(one.number) for one in shards]
    return [
        replace(one, first=first.get(name, NO_ANSWERS), standing=standing.get(name, NO_ANSWERS))
        for one, name in zip(shards, names, strict=True)
    ]


def searched_images(workspace: Workspace, shard: PagesShard) -> set[str]:
    """Ids of the images that a shard searches for."""
    return set(answer_map(workspace, shard.first.path))


def standing_places(workspace: Workspace, shard: PagesShard) -> dict[str, tuple[str, int]]:
    """Image id → page and position of the place that stands for it, of those that lie in a shard."""
    known = answer_map(workspace, shard.standing.path)
    return {image_id: (place[:16].hex(), int.from_bytes(place[16:], "big")) for image_id, place in known.items()}


@dataclass(frozen=True)
class Asking:
    """A source of found pairs that asks for the places of the images that it names, or for other facts of them.
    `table` is where the pairs stand, `listed` its column of further images."""

    number: int
    job: str
    key: str
    table: str = "found"
    listed: str = "negatives"


def named_images(workspace: Workspace, source: Asking) -> Iterator[str]:
    """Ids of the images that a source's pairs name, negatives among them; repeated."""
    columns = ["query_image_id", "target_image_id", source.listed]
    for row in rows(workspace, workspace.manifests(source.job, [source.key])[0], source.table, columns):
        yield from (row["query_image_id"], row["target_image_id"], *row[source.listed])


@dataclass(frozen=True)
class CorpusPlaces:
    """Where the place that stands for an image lies: shard, file, row."""

    workspace: Workspace
    name: str = "corpus_places"

    def messages(self, task: PagesShard | Asking) -> Iterator[Message]:
        """Shards of pages tell, sources of found pairs ask."""
        if isinstance(task, Asking):
            for image_id in sorted(set(named_images(self.workspace, task))):
                yield image_id, asker(task.number), b""
            return
        standing = standing_places(self.workspace, task)
        for number, file in enumerate(task.manifest(self.workspace).files.get("eligible", ())):
            single = Manifest(PAGES_JOB, task.key, {"eligible": [file]}, task.manifest(self.workspace).counts)
            found = rows(self.workspace, single, "eligible", ["image_id", "page_id", "position"])
            for row_number, row in enumerate(found):
                if standing.get(row["image_id"]) == (row["page_id"], row["position"]):
                    yield row["image_id"], "", _ROW.pack(task.number, number, row_number)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The one place, to all who ask."""
        yield from ((one, values[0]) for one in askers if values)


def located_places(workspace: Workspace, answers: Answers | None) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Image id → shard, file and row of its place, from the answers of `CorpusPlaces`."""
    for image_id, value in read_answers(workspace, answers.path if answers else None):
        yield image_id, _ROW.unpack(value)


def rows_of_places(
    workspace: Workspace, shards: Sequence[PagesShard], told: Mapping[str, bytes]
) -> Mapping[str, Place]:
    """Image id → its row of `eligible`, without what only a search reads; `told`: image id → where that lies, as
    `CorpusPlaces` answers."""
    located: dict[tuple[int, int], dict[int, str]] = {}
    for image_id, value in told.items():
        shard, file, row = _ROW.unpack(value)
        located.setdefault((shard, file), {})[row] = image_id
    found: dict[str, Place] = {}
    for (number, file), at in sorted(located.items()):
        data = shards[number].manifest(workspace).files["eligible"][file]
        for row_number, row in rows_at(workspace, data, list(at), _COLUMNS):
            found[at[row_number]] = row
    return found
