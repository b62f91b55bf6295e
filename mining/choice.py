"""Which of the pairs of all miners are published: each pair once, under caps and quotas that hold over the corpus.

A pair that several miners found, or that stands on several pages, counts for the miner that the configuration names
first. Caps hold one after the other, quotas at last; what they leave is chosen by a hash of the pair, so that no order
of shards decides. This is the plain form; the index steps of `beam_jobs.corpus.choose` do the same in shards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mining.mine_config import MineConfig
from mining.pages.addresses import site_of
from schemas.ids import digest


def priority(query_image_id: str, target_image_id: str) -> int:
    """A number of 64 bits by which pairs are chosen, smallest first."""
    return int(digest("pair priority", query_image_id, target_image_id)[:16], 16)


def threshold(priorities: Iterable[int], cap: int) -> int | None:
    """The largest priority that a cap leaves, None where it leaves all."""
    ordered = sorted(priorities)
    return ordered[cap - 1] if len(ordered) > cap else None


def rank(row: Mapping[str, Any], miners: Sequence[str]) -> tuple[int, str, str]:
    """Of several rows of one pair the one with the smallest rank stands: the first miner's, of the smallest page id.
    One miner may find a pair twice (in two groups); then a hash of its words decides, so that no order does."""
    return miners.index(row["mining"]), row["page_id"], digest("words", row["mining_details"] or "")[:16]


def cap_key(cap: str, row: Mapping[str, Any], cluster: str | None = None) -> str | None:
    """What a cap counts by: the value that pairs must share. None where the cap does not see the pair."""
    if cap == "cluster":
        return cluster
    if cap == "host":
        return site_of(row["target_image_url"])
    return str(row[{"query": "query_image_id", "target": "target_image_id", "site": "site"}[cap]])


def choose(
    rows: Sequence[Mapping[str, Any]], config: MineConfig, clusters: Mapping[str, str] | None = None
) -> list[str | None]:
    """For each row of `candidates` why it is dropped, None if it is published: `duplicate_pair`, `query_cap`,
    `target_cap`, `cluster_cap`, `site_cap`, `host_cap`, `quota`. `clusters`: image id → its cluster."""
    best: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows):
        key = (row["query_image_id"], row["target_image_id"])
        if key not in best or rank(row, config.miners) < rank(rows[best[key]], config.miners):
            best[key] = place
    standing = sorted(best.values())
    reasons: list[str | None] = ["duplicate_pair"] * len(rows)
    for place in standing:
        reasons[place] = None
    for cap, count in config.caps.given.items():
        groups: dict[str, list[int]] = defaultdict(list)
        for place in standing:
            key_of = cap_key(cap, rows[place], (clusters or {}).get(rows[place]["target_image_id"]))
            if key_of is not None:
                groups[key_of].append(place)
        standing = _cut(rows, groups, dict.fromkeys(groups, count), f"{cap}_cap", standing, reasons)
    by_miner: dict[str, list[int]] = defaultdict(list)
    for place in standing:
        by_miner[rows[place]["mining"]].append(place)
    _cut(rows, by_miner, config.quotas, "quota", standing, reasons)
    return reasons


def _cut(
    rows: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Sequence[int]],
    caps: Mapping[str, int],
    reason: str,
    standing: Sequence[int],
    reasons: list[str | None],
) -> list[int]:
    for name, places in groups.items():
        if name in caps:
            priorities = {place: _priority_of(rows[place]) for place in places}
            last = threshold(priorities.values(), caps[name])
            for place in places:
                if last is not None and priorities[place] > last:
                    reasons[place] = reason
    return [place for place in standing if reasons[place] is None]


def _priority_of(row: Mapping[str, Any]) -> int:
    return priority(row["query_image_id"], row["target_image_id"])
