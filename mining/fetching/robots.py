"""What owners say to machines: opt-out directives in headers, and robots.txt for our agent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from protego import Protego

#: Directives of X-Robots-Tag that keep an image out of a training set.
OPT_OUT_DIRECTIVES = frozenset({"noai", "noimageai", "noimageindex"})
#: Bytes of a robots.txt that are read (RFC 9309 asks for at least 500 KiB).
ROBOTS_BYTES = 512 * 1024

_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_AGENT_NAME = re.compile(r"[A-Za-z*][A-Za-z0-9_*-]*")
_AGENT_LINE = re.compile(r"\s*user[- ]?agents?\b\s*:?\s*([^#]*)", re.IGNORECASE)


def header_signals(headers: Iterable[tuple[str, str]], agent: str) -> frozenset[str]:
    """Opt-out signals in an answer's headers: directives of `X-Robots-Tag` that are for everyone or for `agent`
    (lower case), and `tdm-reservation` for a `TDM-Reservation: 1` header."""
    return header_directives(headers, agent) & (OPT_OUT_DIRECTIVES | {"tdm-reservation"})


def header_directives(headers: Iterable[tuple[str, str]], agent: str) -> frozenset[str]:
    """All directives of an answer's headers that are for everyone or for `agent`, opt-outs or not."""
    found: set[str] = set()
    for name, value in headers:
        if name.lower() == "x-robots-tag":
            found |= _directives(value, agent) - {""}
        elif name.lower() == "tdm-reservation" and value.strip() == "1":
            found.add("tdm-reservation")
    return frozenset(found)


def _directives(value: str, agent: str) -> set[str]:
    """`noai, otherbot: noindex, nofollow` → the directives in force for `agent`; a name holds until the next one."""
    found: set[str] = set()
    scope: str | None = None
    for part in value.split(","):
        name, colon, rest = part.partition(":")
        directive = part
        if colon and _AGENT_NAME.fullmatch(name.strip()) and name.strip().lower() not in _VALUED:
            scope, directive = name.strip().lower(), rest
        if scope is None or scope in ("*", agent):
            found.add(directive.strip().lower())
    return found


class RobotsRules:
    """The rules of one robots.txt for one agent (lower case)."""

    def __init__(self, text: str, agent: str) -> None:
        self._agent = agent
        self._rules = Protego.parse(_own_groups(text, agent))

    def allows(self, url: str) -> bool:
        """Whether the agent may fetch an address (full, ASCII)."""
        return bool(self._rules.can_fetch(url, self._agent))

    @property
    def crawl_delay(self) -> float | None:
        """Seconds between requests that the host asks for, None where it asks for none."""
        delay = self._rules.crawl_delay(self._agent)
        return float(delay) if delay is not None and delay >= 0 else None


def _own_groups(text: str, agent: str) -> str:
    """The same rules with all agents that are not ours under one name: a file that names ten thousand agents before
    ten thousand rules would otherwise be parsed into their product."""
    lines = []
    for line in text.splitlines():
        match = _AGENT_LINE.match(line)
        if match:
            name = match[1].strip().lower().replace("*", "")
            lines.append(f"User-agent: {name or '*'}" if name in agent else "User-agent: another-agent")
        else:
            lines.append(line)
    return "\n".join(lines)


class OptOutList:
    """The user's own list: a host with its subdomains, host:port, or the beginning of an address."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._beginnings = tuple(entry for entry in entries if "://" in entry)
        self._hosts = frozenset(entry.lower().removeprefix("*.").removesuffix(".") for entry in entries) - set(
            self._beginnings
        )

    def names(self, url: str, host: str, authority: str) -> bool:
        """Whether an address stands on the list; `authority` is its host with a port that is not the scheme's."""
        if url.startswith(self._beginnings) if self._beginnings else False:
            return True
        if authority in self._hosts:
            return True
        labels = host.split(".")
        return any(".".join(labels[start:]) in self._hosts for start in range(len(labels)))
