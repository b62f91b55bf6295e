"""Chains of triplets for search in several turns: A → B → C, the target of one being the query of the next.

FashionNTM (arXiv 2308.10170) and Multi-turn FashionIQ (arXiv 2106.04128) make theirs of FashionIQ's triplets in this
way; here they are made of the triplets of one page or of one group of `groups_of_six`, or of whatever meets.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise
from typing import Any

from publishing.config import ChainsConfig
from schemas.ids import chain_id

#: Columns of a triplet that chains are made of.
COLUMNS = (
    "triplet_id",
    "query_image_id",
    "target_image_id",
    "instruction",
    "page_id",
    "target_page_id",
    "mining",
    "mining_details",
)
#: Triplets of an image that are looked at for the next turn: an image from which thousands lead stays cheap.
_LOOKED_AT = 64
_GROUP = re.compile(r"\bgroups_of_six: (group of [0-9a-f]{12})\b")


@dataclass(frozen=True, slots=True)
class Link:
    """What a chain needs of a triplet."""

    triplet_id: str
    query: str
    target: str
    instruction: str
    page_id: str
    mining: str


@dataclass
class Used:
    """How many chains each triplet stands in, and which triplets follow each other in one."""

    times: Counter[str] = field(default_factory=Counter)
    followed: set[tuple[str, str]] = field(default_factory=set)

    def add(self, chain: Sequence[Link]) -> None:
        """Count a chain."""
        self.times.update(link.triplet_id for link in chain)
        self.followed.update((one.triplet_id, other.triplet_id) for one, other in pairwise(chain))

    def take(self, other: Used, triplet_ids: set[str]) -> None:
        """What another counted of these triplets; of others nobody will ask again."""
        self.times.update({one: count for one, count in other.times.items() if one in triplet_ids})
        self.followed.update(pair for pair in other.followed if triplet_ids.issuperset(pair))


def chain_rows(rows: Iterable[Mapping[str, Any]], config: ChainsConfig) -> Iterator[dict[str, Any]]:
    """Rows of the configuration `chains` from the triplets of one split, those of a page together.

    Chains of single pages come first, in the order of the pages, then those of groups, by name; with `across` there is
    but one scope, all the triplets. Within a scope chains come in the order in which they were chosen: see `chains`.
    Held in memory are the triplets of a page, those of groups, and with `across` all. Equal triplets give equal chains,
    whatever their order within a page.
    """
    grouped: dict[str, list[Link]] = defaultdict(list)
    used = Used()
    if config.across:
        yield from map(_row, chains([_link(row) for row in rows], config, used))
        return
    for _, of_page in groupby(rows, key=lambda row: str(row["page_id"])):
        within, shared = [], set()
        for row in of_page:
            link = _link(row)
            if row.get("target_page_id") in (None, row["page_id"]):
                within.append(link)
            for name in dict.fromkeys(_GROUP.findall(row.get("mining_details") or "")):
                grouped[name].append(link)
                shared.add(link.triplet_id)
        own = Used()
        yield from map(_row, chains(within, config, own))
        used.take(own, shared)
    for name in sorted(grouped):
        yield from map(_row, chains(grouped[name], config, used, one_cap=True))


def chains(
    links: Sequence[Link], config: ChainsConfig, used: Used, one_cap: bool = False
) -> Iterator[tuple[Link, ...]]:
    """Chains of the triplets of one scope, chosen greedily. `used` is what was chosen before, and is updated.

    A chain begins with a triplet to whose query no other leads, or else with any; it takes as the next turn the first
    triplet that leads from its last image to one that it has not shown, and from which the search can go on. All ties
    go by the triplet's id. No triplet stands in more than `triplet_cap` chains, no two triplets follow each other in
    two of them, so that no chain is a part of another, and `page_cap` bounds the chains that begin on one page, or
    (`one_cap`) all of them. Time grows with the number of triplets, not of paths.
    """
    ordered = sorted((one for one in links if one.query != one.target), key=lambda link: link.triplet_id)
    free = [one for one in ordered if used.times[one.triplet_id] < config.triplet_cap]
    leading: dict[str, list[Link]] = defaultdict(list)
    for link in free:
        leading[link.query].append(link)
    reached = {link.target for link in free}
    starts = sorted(free, key=lambda link: (link.query in reached, link.triplet_id))
    made: Counter[str] = Counter()
    for start in (one for _ in range(config.triplet_cap) for one in starts):
        place = "" if one_cap else start.page_id
        if made[place] >= config.page_cap or used.times[start.triplet_id] >= config.triplet_cap:
            continue
        chain = _extended(start, leading, config.max_turns, used.followed)
        if len(chain) < config.min_turns:
            continue
        made[place] += 1
        used.add(chain)
        for link in chain:
            if used.times[link.triplet_id] >= config.triplet_cap:
                leading[link.query].remove(link)
        yield chain


def _extended(
    start: Link, leading: Mapping[str, Sequence[Link]], turns: int, followed: set[tuple[str, str]]
) -> tuple[Link, ...]:
    """The chain that begins with a triplet; that one alone where nothing follows."""
    chain, shown = [start], {start.query, start.target}
    while len(chain) < turns:
        following = list(_following(chain[-1], leading, shown, followed))
        if not following:
            break
        step = following[0]
        if len(chain) + 1 < turns:
            onward = (one for one in following if any(_following(one, leading, shown, followed)))
            step = next(onward, step)
        chain.append(step)
        shown.add(step.target)
    return tuple(chain)


def _following(
    link: Link, leading: Mapping[str, Sequence[Link]], shown: set[str], followed: set[tuple[str, str]]
) -> Iterator[Link]:
    """Triplets that may be the next turn, by id."""
    near = islice(leading.get(link.target, ()), _LOOKED_AT)
    return (one for one in near if one.target not in shown and (link.triplet_id, one.triplet_id) not in followed)


def _link(row: Mapping[str, Any]) -> Link:
    return Link(
        row["triplet_id"],
        row["query_image_id"],
        row["target_image_id"],
        row["instruction"],
        row["page_id"],
        row["mining"] or "",
    )


def _row(chain: Sequence[Link]) -> dict[str, Any]:
    """The row of `chains`."""
    named = [link.triplet_id for link in chain]
    return {
        "chain_id": chain_id(named),
        "images": [chain[0].query, *(link.target for link in chain)],
        "instructions": [link.instruction for link in chain],
        "triplet_ids": named,
        "page_id": chain[0].page_id,
        "mining": "+".join(dict.fromkeys(name for link in chain for name in link.mining.split("+") if name)),
    }
