"""What the robots.txt files in the archives say: index steps find the latest of an origin, read where it lies."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from beam_jobs.extract_pages import EXTRACT_JOBS
from beam_jobs.index_step import Message
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.fetching.robots import RobotsRules

#: Seconds since 1970, number of the extraction shard, row of its table: the latest capture sorts last.
_PLACE = struct.Struct(">QII")
_PREFIX = "r:"


def robots_key(origin: str) -> str:
    """The key under which index steps speak of an origin's robots.txt; no address begins like it."""
    return _PREFIX + origin


def is_robots_key(key: str) -> bool:
    """Whether a key is one of `robots_key`."""
    return key.startswith(_PREFIX)


def origin_of(url: str) -> str:
    """`scheme://host[:port]` in lower case: what one robots.txt speaks for. Empty for what is no address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def robots_messages(workspace: Workspace, manifest: Manifest, number: int) -> Iterator[Message]:
    """What the extraction shard at `number` of its plan tells of its robots.txt files; `max` of all is the latest."""
    for row_number, row in enumerate(rows(workspace, manifest, "robots", ["origin", "crawl_date"])):
        seconds = int((row["crawl_date"] or datetime(1970, 1, 1, tzinfo=UTC)).timestamp())
        yield robots_key(row["origin"]), "", _PLACE.pack(max(seconds, 0), number, row_number)


@dataclass
class ArchivedRobots:
    """What the archives' robots.txt files say to an agent (lower case); `answers` are those of an index step."""

    workspace: Workspace
    answers: Mapping[str, bytes]
    agent: str
    _rules: dict[str, RobotsRules | None] = field(default_factory=dict)

    def allows(self, url: str) -> bool:
        """Whether the agent may fetch an address; where no archive holds a robots.txt, it may."""
        origin = origin_of(url)
        if origin not in self._rules:
            self._rules[origin] = self._read(self.answers.get(robots_key(origin)))
        rules = self._rules[origin]
        return rules is None or rules.allows(url)

    def _read(self, answer: bytes | None) -> RobotsRules | None:
        if answer is None:
            return None
        _, number, wanted = _PLACE.unpack(answer)
        plan = [(job, key) for job in EXTRACT_JOBS for key in self.workspace.in_force(job)]
        job, key = plan[number]
        manifest = self.workspace.manifests(job, [key])[0]
        for row_number, row in enumerate(rows(self.workspace, manifest, "robots", ["status", "body"])):
            if row_number == wanted:
                # As while fetching: a robots.txt that is not there allows.
                return RobotsRules(row["body"].decode("utf-8", "replace"), self.agent) if row["status"] < 400 else None
        return None
