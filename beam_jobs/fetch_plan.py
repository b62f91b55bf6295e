"""Which addresses are fetched: index steps from the places of pages to the buckets of hosts.

Of each picture that no archive holds in any form the chosen address is asked for; where that turns out to have no
image, a second part of the plan asks for the picture's other addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from beam_jobs.annotate_images import pages_of_places
from beam_jobs.archived_robots import ArchivedRobots, is_robots_key, origin_of, robots_key, robots_messages
from beam_jobs.index_step import Answers, Message, answer_map, answers_folder, read_answers
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.fetching.addresses import bucket_of, host_of
from mining.fetching.config import FetchConfig
from mining.pages.addresses import match_key
from schemas.ids import digest

#: Values of answers to a bucket begin so: an address to ask for, or one that an archived robots.txt disallows.
WANTED, DISALLOWED = b"u", b"r"
#: Rejections after which a picture's other addresses are worth asking for. Not those by its owner's word: an address
#: that opted out is not gone round.
_OWNERS_WORD = frozenset({"opted_out", "robots_disallowed"})
_PARTS = "_work/plans/fetch_images"
_PLANNED = b"p"
_HELD, _NO_IMAGE = b"h", b"x"
#: A picture that every browser shows and no decoder of ours opens: its other forms are wanted.
_UNDECODED = frozenset({"image/svg+xml"})

Kind = Literal["chosen", "others"]


@dataclass(frozen=True)
class HeldStep:
    """Index step: of the addresses of a shard's places, which lead to an image that we have and which to none; and
    where the robots.txt files of their hosts lie."""

    workspace: Workspace
    name: str = "held"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Addresses of images, archived or fetched, and rejected ones; a shard of places (with a `number`) asks."""
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        told = {
            (match_key(row["url"]), _NO_IMAGE if row["mime"] in _UNDECODED else _HELD)
            for row in rows(self.workspace, manifest, "images", ["url", "mime"])
        }
        if task.number is None:
            told |= {(match_key(url), _NO_IMAGE) for url in _without_image(self.workspace, manifest)}
        for key, value in sorted(told):
            yield key, "", value
        if task.number is None:
            return
        own = asker(task.number)
        origins = {origin_of(row["url"]) for row in rows(self.workspace, manifest, "pages", ["url"])}
        named = set()
        for row in rows(self.workspace, manifest, "page_images", ["url"]):
            named.add(match_key(row["url"]))
            origins.add(origin_of(row["url"]))
        for key in sorted(named | {robots_key(origin) for origin in origins}):
            yield key, own, b""
        yield from robots_messages(self.workspace, manifest, task.number)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Only what is known is answered; an image that some shard has goes before a rejection."""
        if values:
            value = values[-1] if is_robots_key(key) else values[0]
            yield from ((one, value) for one in askers)


@dataclass(frozen=True)
class ToFetchTask:
    """A shard of places with the answers of `HeldStep`; or the answers file of an earlier part of the plan."""

    shard: LocateTask | None
    answers: str | None


@dataclass(frozen=True)
class ToFetchStep:
    """Index step: addresses that are to be asked for, to the bucket of their host."""

    workspace: Workspace
    config: FetchConfig
    buckets: int
    kind: Kind = "chosen"
    name: str = "to_fetch"

    def messages(self, task: ToFetchTask) -> Iterator[Message]:
        """Addresses with their bucket; those that an earlier part has are told as planned."""
        if task.shard is None:
            for key, _ in read_answers(self.workspace, task.answers):
                yield key, "", _PLANNED
            return
        manifest = self.workspace.manifests(task.shard.job, [task.shard.key])[0]
        known = answer_map(self.workspace, task.answers)
        robots = ArchivedRobots(self.workspace, known, self.config.agent)
        drop = self.config.opt_out == "drop"
        refused = {row["page_id"] for row in self._pages(manifest) if row["opt_out"] or not robots.allows(row["url"])}
        wanted: dict[str, str] = {}
        for page in pages_of_places(self.workspace, manifest):
            if drop and page[0]["page_id"] in refused:
                continue
            for url in wanted_of_page(page, known, self.kind):
                key = match_key(url)
                wanted[key] = min(url, wanted.get(key, url))
        for key, url in sorted(wanted.items()):
            flag = DISALLOWED if drop and not robots.allows(url) else WANTED
            yield key, f"{bucket_of(host_of(url), self.buckets):04d}", flag + url.encode()

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """One spelling of the address to its bucket, unless it is planned already."""
        if askers and values[0] != _PLANNED:
            yield askers[0], values[0]

    def _pages(self, manifest: Manifest) -> Iterator[dict[str, Any]]:
        return rows(self.workspace, manifest, "pages", ["page_id", "url", "opt_out"])


def wanted_of_page(page: Sequence[Mapping[str, Any]], known: Mapping[str, bytes], kind: Kind) -> Iterator[str]:
    """The addresses of a page's pictures that are to be asked for: the chosen one of each picture that we hold in no
    form, or the others of those whose chosen one has no image."""
    states: dict[int, dict[str, bytes | None]] = {}
    chosen: dict[int, str] = {}
    for place in page:
        if place["url"].startswith("http"):
            states.setdefault(place["group"], {})[place["url"]] = known.get(match_key(place["url"]))
            if place["chosen"]:
                chosen[place["group"]] = place["url"]
    for group, addresses in states.items():
        if _HELD in addresses.values():
            continue
        first = chosen.get(group)
        if kind == "chosen" and first is not None and addresses[first] is None:
            yield first
        elif first is None or addresses[first] == _NO_IMAGE:
            yield from (url for url, state in addresses.items() if state is None and url != first)


def plan_part(
    session: Session,
    kind: Kind,
    extracted: Sequence[Manifest],
    fetched: Sequence[Manifest],
    buckets: int,
    config: FetchConfig,
) -> list[dict[str, Any]]:
    """All parts of the plan under the policy of `config`, a new one at the end if pages, or what came of their chosen
    addresses, are new or changed.

    A part is `{"kind", "policy", "basis", "key", "buckets": {bucket: [path of answers, their digest]}}`."""
    workspace = session.workspace
    stored = [workspace.folder.read_json(f"{_PARTS}/{name}") for name in sorted(workspace.folder.list(_PARTS))]
    for part in stored:
        # Parts of another policy wait for its return.
        session.used_answers.add(answers_folder("to_fetch", part["key"]))
    policy = f"{config.opt_out} {config.agent}"
    parts = [part for part in stored if part["policy"] == policy]
    basis = digest(kind, policy, basis_of([*extracted, *fetched]))
    if any(part["basis"] == basis for part in parts):
        return parts
    shards = [LocateTask(one.stage, one.key, number) for number, one in enumerate(extracted)]
    tellers = [LocateTask(one.stage, one.key) for one in fetched]
    held = session.index(HeldStep(workspace), [*shards, *tellers], basis)
    tasks = [ToFetchTask(one, held.get(asker(number), Answers(None, "")).path) for number, one in enumerate(shards)]
    earlier = [path for part in parts for path, _ in part["buckets"].values()]
    tasks += [ToFetchTask(None, path) for path in earlier]
    key = digest(basis, *earlier)
    found = session.index(ToFetchStep(workspace, config, buckets, kind), tasks, key)
    part = {
        "kind": kind,
        "policy": policy,
        "basis": basis,
        "key": key,
        "buckets": {bucket: [answers.path, answers.digest] for bucket, answers in sorted(found.items())},
    }
    name = f"{_PARTS}/{len(stored):04d}.json"
    workspace.folder.create(name, json.dumps(part, indent=1).encode())
    return [*parts, workspace.folder.read_json(name)]


def goes_on(manifests: Sequence[Manifest]) -> bool:
    """Whether some address turned out to have no image, so that its picture's others may be worth asking for."""
    entries = [entry for one in manifests for entry in one.counts.units.values()]
    return any(reason not in _OWNERS_WORD for entry in entries for reason in entry.rejected)


def _without_image(workspace: Workspace, manifest: Manifest) -> Iterator[str]:
    for row in rows(workspace, manifest, "rejected", ["url", "reason"]):
        if not row["reason"].startswith("error:") and row["reason"] not in _OWNERS_WORD:
            yield row["url"]
