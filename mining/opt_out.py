"""One opt-out policy for pages and images: what owners say in headers, markup, robots.txt, and in the user's list."""

from __future__ import annotations

from collections.abc import Iterable

from mining.fetching.robots import OPT_OUT_DIRECTIVES, OptOutList, header_directives

__all__ = ["TDM_RESERVATION", "OptOutList", "joined", "meta_directives", "signals"]

#: Signal of the TDM Reservation Protocol, in a header or a meta element.
TDM_RESERVATION = "tdm-reservation"


def meta_directives(name: str, content: str, agent: str) -> set[str]:
    """Directives of one meta element: those of `robots`, of our agent, and a TDM reservation; empty for any other."""
    name = name.strip().lower()
    if name == TDM_RESERVATION:
        return {TDM_RESERVATION} if content.strip() == "1" else set()
    if name not in ("robots", agent):
        return set()
    return {directive for part in content.split(",") if (directive := part.strip().lower())}


def response_directives(headers: Iterable[tuple[str, str]], agent: str) -> set[str]:
    """Directives of an answer's headers that are for everyone or for our agent."""
    return set(header_directives(headers, agent))


def signals(directives: Iterable[str]) -> set[str]:
    """Of directives those that say no to machines: plain `noindex` and `nofollow` are about search."""
    return {one for one in directives if one in OPT_OUT_DIRECTIVES or one == TDM_RESERVATION}


def joined(found: Iterable[str]) -> str | None:
    """Signals as tables hold them: sorted, comma-separated, null for none."""
    return ",".join(sorted(set(found))) or None
