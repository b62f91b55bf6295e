"""Index steps of `mine_pairs`: what is known of each image, how widely it is shown, and which pages share a set."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from beam_jobs.archived_robots import is_robots_key, origin_of, robots_key, robots_messages
from beam_jobs.index_step import Answers, Message, answer_map
from beam_jobs.locate_images import Located, LocateTask
from beam_jobs.session import asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.page_sets import representatives
from mining.pages.addresses import match_key
from mining.places import ImageFacts

_FACTS = struct.Struct("<IIQffff")
_COUNT = struct.Struct("<I")
#: What a value begins with.
_SEEN, _LABEL, _OPT_OUT, _GENERATED, _REMOVED, _CAPTION, _MANY = b"f", b"l", b"o", b"g", b"r", b"c", b"n"
#: The same of sketches beside that of the features, by the column that holds them.
_SKETCHES: Mapping[str, bytes] = {"pattern_sketch": b"p", "caption_sketch": b"s"}
#: Lengths of what stands before the packed facts in an answer.
_LENGTHS = struct.Struct("<7H")
_NONE = -1.0
#: Bytes of a reason for which an image is removed, at most.
_REASON = 400


@dataclass(frozen=True)
class FactsTask:
    """A shard that tells: `places` asks too; `images` and `annotations` tell of images, `near_duplicates` (by their
    `answers`) and `matches` with benchmarks of those that the crawl does without."""

    kind: str
    source: LocateTask
    answers: str | None = None


@dataclass(frozen=True)
class ImageFactsStep:
    """Facts of images (`f:` image), pages of a site that show an image (`s:` site, image), pages of a site (`t:`),
    who mines a page that several shards captured (`p:`), and where an archive's robots.txt lies (`robots_key`).

    `sketches`: the columns of further sketches that are told, each of no more than 448 bytes. Features, of which they
    are made, stay where they are."""

    workspace: Workspace
    sketches: tuple[str, ...] = ()
    name: str = "image_facts"

    def messages(self, task: FactsTask) -> Iterator[Message]:
        """Each message once a shard."""
        manifest = self.workspace.manifests(task.source.job, [task.source.key])[0]
        if task.kind == "near_duplicates":
            for image_id, survivor in answer_map(self.workspace, task.answers).items():
                yield f"f:{image_id}", "", _REMOVED + f"near_duplicate_of {survivor.hex()}".encode()
        elif task.kind == "matches":
            for row in rows(self.workspace, manifest, "matches"):
                reason = f"in_benchmark {row['benchmark']} ({row['how']}: {row['detail']})"
                yield (
                    f"f:{row['image_id']}",
                    "",
                    _REMOVED + reason.encode()[:_REASON].decode("utf-8", "ignore").encode(),
                )
        elif task.kind == "annotations":
            for row in rows(self.workspace, manifest, "annotations"):
                yield from _facts_messages(row, self.sketches)
        elif task.kind == "images":
            signals = {
                (row["image_id"], row["opt_out"])
                for row in rows(self.workspace, manifest, "images", ["image_id", "opt_out"])
                if row["opt_out"]
            }
            for image_id, opt_out in sorted(signals):
                yield f"f:{image_id}", "", _OPT_OUT + opt_out.encode()
        else:
            assert task.source.number is not None
            yield from self._places(manifest, asker(task.source.number), task)

    def _places(self, manifest: Manifest, own: str, task: FactsTask) -> Iterator[Message]:
        located = {url: Located.unpack(data) for url, data in answer_map(self.workspace, task.answers).items()}
        pages: dict[str, tuple[str, str, str | None]] = {}
        for row in rows(self.workspace, manifest, "pages", ["page_id", "url", "site", "opt_out"]):
            pages[row["page_id"]] = (row["url"], row["site"], row["opt_out"])
        shown: dict[tuple[str, str], set[str]] = {}
        sites: dict[str, set[str]] = {}
        origins: set[str] = set()
        for page_id in sorted(pages):
            url, site, _ = pages[page_id]
            sites.setdefault(site, set()).add(url)
            origins.add(origin_of(url))
            yield f"p:{page_id}", own, b""
        for row in rows(self.workspace, manifest, "page_images", ["page_id", "url"]):
            place = located.get(match_key(row["url"]))
            if place is not None:
                url, site, _ = pages[row["page_id"]]
                shown.setdefault((site, place.image_id), set()).add(url)
                origins.add(origin_of(row["url"]))
        for image_id in sorted({image_id for _, image_id in shown}):
            yield f"f:{image_id}", own, b""
        for (site, image_id), urls in shown.items():
            yield f"s:{site} {image_id}", own, _MANY + _COUNT.pack(len(urls))
        for site, urls in sites.items():
            yield f"t:{site}", own, _MANY + _COUNT.pack(len(urls))
        for origin in sorted(origins):
            yield robots_key(origin), own, b""
        yield from robots_messages(self.workspace, manifest, int(own))

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """One answer to each asker; to the askers of a page: whether it is theirs to mine."""
        kind = key[0]
        if kind == "p":
            yield from ((one, b"") for one in askers[:1])
            return
        if kind == "f":
            answer = _joined_facts(values)
        elif is_robots_key(key):
            answer = max(values, default=b"")
        else:
            answer = _COUNT.pack(sum(_COUNT.unpack(value[1:])[0] for value in values))
        if answer:
            yield from ((one, answer) for one in askers)


@dataclass(frozen=True)
class KnownImages:
    """The answers of `ImageFactsStep` to one shard."""

    facts: Mapping[str, ImageFacts]
    image_pages: Mapping[tuple[str, str], int]
    site_pages: Mapping[str, int]
    own_pages: frozenset[str]
    #: What `ArchivedRobots` reads.
    robots: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, workspace: Workspace, answers: Answers | None) -> KnownImages:
        """Read an answers file; none is a shard without pages."""
        facts: dict[str, ImageFacts] = {}
        image_pages: dict[tuple[str, str], int] = {}
        site_pages: dict[str, int] = {}
        own: set[str] = set()
        robots: dict[str, bytes] = {}
        for key, value in answer_map(workspace, answers.path if answers else None).items():
            kind, name = key[0], key[2:]
            if kind == "f":
                facts[name] = _read_facts(name, value)
            elif kind == "s":
                site, image_id = name.rsplit(" ", 1)
                image_pages[site, image_id] = _COUNT.unpack(value)[0]
            elif kind == "t":
                site_pages[name] = _COUNT.unpack(value)[0]
            elif kind == "p":
                own.add(name)
            else:
                robots[key] = value
        return cls(facts, image_pages, site_pages, frozenset(own), robots)


def _facts_messages(row: Mapping[str, object], sketches: Sequence[str]) -> Iterator[Message]:
    def number(name: str) -> float:
        value = row[name]
        return _NONE if value is None else float(str(value))

    packed = _FACTS.pack(
        row["width"],
        row["height"],
        int(str(row["phash"]), 16),
        number("flatness"),
        number("nsfw"),
        number("label_score"),
        number("generated_score"),
    )
    sketch = row["sketch"]
    assert isinstance(sketch, bytes)
    yield f"f:{row['image_id']}", "", _SEEN + packed + sketch
    if row["label"]:
        yield f"f:{row['image_id']}", "", _LABEL + str(row["label"]).encode()
    if row["generated"]:
        yield f"f:{row['image_id']}", "", _GENERATED + str(row["generated"]).encode()
    if row["caption"]:
        yield f"f:{row['image_id']}", "", _CAPTION + str(row["caption"]).encode()
    for name in sketches:
        more = row[name]
        if isinstance(more, bytes):
            yield f"f:{row['image_id']}", "", _SKETCHES[name] + more


def _joined_facts(values: Sequence[bytes]) -> bytes:
    """Facts, label, the union of opt-out signals, the evidence of a generator, caption and further sketches as one
    answer; empty for an image that was not annotated."""
    seen = [value[1:] for value in values if value[:1] == _SEEN]
    if not seen:
        return b""

    def told(mark: bytes) -> bytes:
        # Of several reasons the first in the alphabet stands; of all else there is one.
        return next((value[1:] for value in values if value[:1] == mark), b"")

    signals = {one for value in values if value[:1] == _OPT_OUT for one in value[1:].decode().split(",")}
    words = (told(_LABEL), ",".join(sorted(signals)).encode(), told(_GENERATED), told(_REMOVED), told(_CAPTION))
    parts = (*words, *(told(mark) for mark in _SKETCHES.values()))
    return _LENGTHS.pack(*map(len, parts)) + b"".join(parts) + seen[0]


def _read_facts(image_id: str, data: bytes) -> ImageFacts:
    parts, start = [], _LENGTHS.size
    for size in _LENGTHS.unpack_from(data):
        parts.append(data[start : start + size])
        start += size
    width, height, phash, flatness, nsfw, label_score, generated_score = _FACTS.unpack_from(data, start)
    label, opt_out, generated, removed, caption = (one.decode() or None for one in parts[: -len(_SKETCHES)])
    pattern_sketch, caption_sketch = (one or None for one in parts[-len(_SKETCHES) :])
    return ImageFacts(
        image_id,
        width,
        height,
        phash,
        flatness,
        data[start + _FACTS.size :],
        label=label,
        label_score=None if label_score == _NONE else label_score,
        nsfw=None if nsfw == _NONE else nsfw,
        opt_out=opt_out,
        generated=generated,
        generated_score=None if generated_score == _NONE else generated_score,
        removed=removed,
        caption=caption,
        pattern_sketch=pattern_sketch,
        caption_sketch=caption_sketch,
    )


@dataclass(frozen=True)
class PageSetsStep:
    """Pages whose sets of images are equal or nearly so meet in buckets; each shard gets the best of its buckets."""

    workspace: Workspace
    #: The `MineJob` that knows how a shard's pages are read.
    job: MineReader
    name: str = "page_sets"

    def messages(self, task: object) -> Iterator[Message]:
        """The shard's own representatives of each of its buckets."""
        number, buckets = self.job.page_sets(task)
        for key in sorted(buckets):
            yield key, asker(number), b""
            for sketch in representatives(buckets[key]):
                yield key, "", sketch

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Representatives of all shards, packed with their lengths. Nobody shares the set of a page that is alone."""
        if len(values) < 2:
            return
        best = representatives(values)
        answer = b"".join(struct.pack("<H", len(sketch)) + sketch for sketch in best)
        yield from ((one, answer) for one in askers)


class MineReader:
    """What `PageSetsStep` needs of the job: the number of a shard, and its page sets by bucket."""

    def page_sets(self, task: object) -> tuple[int, dict[str, set[bytes]]]:
        """Number of the shard in its plan, bucket → sketches."""
        raise TypeError("a subclass reads the shard")


def unpack_sketches(data: bytes) -> list[bytes]:
    """Read an answer of `PageSetsStep`."""
    sketches, start = [], 0
    while start < len(data):
        (size,) = struct.unpack_from("<H", data, start)
        sketches.append(data[start + 2 : start + 2 + size])
        start += 2 + size
    return sketches
