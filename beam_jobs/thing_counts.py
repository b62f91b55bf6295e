"""Index step `thing_counts`: on how many pages of the crawl things, and pairs of things, are named.

Shards tell what the texts of their pages' images name, and ask for what their own pairs need.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from beam_jobs.index_step import Answers, Message, answer_map
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import asker
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.scores.things import ThingCounts, needed_pairs, page_things, pairs_of, things

_COUNT = struct.Struct("<I")
#: Pages; a thing; a pair of things. No thing holds a blank.
_PAGES, _THING, _PAIR = "n:", "t:", "b:"


@dataclass(frozen=True)
class ThingsTask:
    """A shard of `mine_pairs`, or of a stage that writes `pairs`.

    `tells`: its table `eligible` says which things stand together. `asks` (with a number in `source`): for what its
    rows of `pairs` (or `candidates`) need, or for what any two images of one of its pages in `eligible` would need.
    """

    source: LocateTask
    tells: bool = True
    asks: Literal["pairs", "candidates", "pages"] | None = None


@dataclass(frozen=True)
class ThingCountsStep:
    """Counts of pages by thing and by pair of things; keys are at most 266 bytes, values 4."""

    workspace: Workspace
    name: str = "thing_counts"

    def messages(self, task: ThingsTask) -> Iterator[Message]:
        """One number a key that the shard's pages name, and each key that it asks for once."""
        manifest = self.workspace.manifests(task.source.job, [task.source.key])[0]
        told: Counter[str] = Counter()
        if task.tells:
            for texts in _page_texts(self.workspace, manifest).values():
                named = page_things(texts)
                told[_PAGES] += 1
                told.update(_THING + thing for thing in named)
                told.update(_pair(*pair) for pair in pairs_of(named))
        asked = self._asked(manifest, task) if task.asks else set()
        own = asker(task.source.number) if task.asks and task.source.number is not None else ""
        for key in sorted(asked.union(told)):
            yield key, own if key in asked else "", _COUNT.pack(told[key]) if key in told else b""

    def _asked(self, manifest: Manifest, task: ThingsTask) -> set[str]:
        if task.source.number is None:
            raise ValueError("a shard that asks has a number")
        asked = {_PAGES}
        if task.asks in ("pairs", "candidates"):
            shown = rows(self.workspace, manifest, task.asks, ["query_text", "target_text"])
            for row in shown:
                _ask(things(row["query_text"]), things(row["target_text"]), asked)
            return asked
        for texts in _page_texts(self.workspace, manifest).values():
            distinct = sorted({things(text) for text in texts})
            for number, first in enumerate(distinct):
                for second in distinct[number:]:
                    _ask(first, second, asked)
        return asked

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The sum over all shards to each asker; what no page names has no answer."""
        total = sum(_COUNT.unpack(value)[0] for value in values)
        if total:
            # A count past 32 bits would be of no crawl there is.
            answer = _COUNT.pack(min(total, 0xFFFFFFFF))
            yield from ((one, answer) for one in askers)


def read_thing_counts(workspace: Workspace, answers: Answers | None) -> ThingCounts:
    """The counts that one shard asked for; none is a shard without pairs."""
    found: Mapping[str, bytes] = answer_map(workspace, answers.path if answers else None)
    counts = {key: _COUNT.unpack(value)[0] for key, value in found.items()}
    named = {key[len(_THING) :]: count for key, count in counts.items() if key.startswith(_THING)}
    pairs = {_unpaired(key): count for key, count in counts.items() if key.startswith(_PAIR)}
    return ThingCounts(counts.get(_PAGES, 0), named, pairs)


def _page_texts(workspace: Workspace, manifest: Manifest) -> dict[str, set[str | None]]:
    texts: dict[str, set[str | None]] = {}
    for row in rows(workspace, manifest, "eligible", ["page_id", "text"]):
        texts.setdefault(row["page_id"], set()).add(row["text"])
    return texts


def _ask(first: Sequence[str], second: Sequence[str], asked: set[str]) -> None:
    asked.update(_THING + thing for thing in (*first, *second))
    asked.update(_pair(*pair) for pair in needed_pairs(first, second))


def _pair(one: str, other: str) -> str:
    return f"{_PAIR}{one} {other}"


def _unpaired(key: str) -> tuple[str, str]:
    one, _, other = key[len(_PAIR) :].partition(" ")
    return one, other
