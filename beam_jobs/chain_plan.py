"""How a step's requests are dealt to answer shards: about as many for each as a worker holds, within the budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.chain_rows import Place
from beam_jobs.index_step import Answers
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from schemas.errors import ConfigurationError
from schemas.ids import digest
from synthesis.chain import Link
from synthesis.config import WriteConfig
from synthesis.costs import Price, load_prices
from synthesis.store import OWN_PARTS, store_files

#: Version of what answer shards write: raised when equal requests give other rows.
VERSION = "3"
#: Requests of a shard, about: what a worker holds at once. Models in this process get small ones, since they are slow.
SHARD_REQUESTS = 4096
_SHARD_REQUESTS_IN_PROCESS = 128


@dataclass(frozen=True)
class Stores:
    """Where answers are: `own` is written to, all are read; and what may be spent."""

    own: str
    others: tuple[str, ...] = ()
    max_requests: int | None = None
    max_cost: float | None = None
    prices: str | None = None

    @classmethod
    def of(cls, config: WriteConfig, output: str) -> Stores:
        """The stores of a run: its own in the output folder, unless one is named."""
        own = config.generations[0] if config.generations else f"{output.rstrip('/')}/{OWN_PARTS}"
        return cls(own, config.generations[1:], config.max_requests, config.max_cost, config.prices)

    def files(self, output: str) -> list[tuple[str, str]]:
        """Folder and name of every file of answers, those in the output folder first."""
        output = output.rstrip("/")
        folders = [output, *(path for path in (self.own, *self.others) if path.rstrip("/") != f"{output}/{OWN_PARTS}")]
        return [file for path in dict.fromkeys(folders) for file in store_files(path)]


def price_of(link: Link, stores: Stores) -> Price | None:
    """The price of a step's model. Raises ConfigurationError where a budget of money needs one that is not there."""
    price = load_prices(stores.prices).get(link.config.model)
    if stores.max_cost is not None and price is None and link.config.backend in ("openai", "batch"):
        raise ConfigurationError(
            f"max_cost needs the price of {link.config.model!r}: add it to the file that write_instructions.prices "
            "names."
        )
    return price


@dataclass(frozen=True)
class Budgets:
    """What is left of the budgets: requests and money, None where there is no limit."""

    requests: int | None = None
    cost: float | None = None


def planned_shards(
    session: Session,
    stage: str,
    packed: Sequence[tuple[list[dict[str, Any]], int]],
    left: Budgets,
    more: Sequence[str],
    forced: str | None,
) -> list[tuple[Shard, list[str]]]:
    """Answer shards, each with the names of the chain's shards whose requests it answers. A budget is dealt out in the
    order of the plan: requests as far as they go, money in proportion, and so is what is left of requests for those
    that ask again. `more`: what keys depend on beside requests; `forced`: where a forced stage keeps its answers."""
    requests = left.requests
    total = sum(weight for _, weight in packed)
    spare = 0 if requests is None else max(0, requests - total)
    planned = []
    for members, weight in packed:
        # What a shard owns are ids of requests, in which everything is that decides the answers.
        store = session.shard_key(stage, VERSION, *(part for one in members for part in _identity(one)))
        most = None
        if requests is not None:
            dealt = min(requests, weight)
            requests -= dealt
            most = dealt + min(weight, spare * weight // max(1, total))
            # Each request is asked again once at most.
            most = most if most < 2 * weight else None
        share = None if left.cost is None else left.cost * weight / max(1, total)
        binding = [*more, *([f"requests {most}"] if most is not None else [])]
        binding += [f"cost {share:.9f}"] if share is not None else []
        work = {
            "members": [{name: one[name] for name in one if name not in ("digest", "images")} for one in members],
            "images": [one["images"] for one in members],
            "store": f"{forced or stage}/{store}",
            "hints": [],
            "max_requests": most,
            "max_cost": share,
        }
        key = digest("budget", store, *binding)[:32] if binding else store
        planned.append((Shard(key, work), [asker(one["number"]) for one in members]))
    return planned


def packed_places(
    places: Sequence[Place],
    owners: Mapping[str, Answers],
    images: Mapping[str, Answers],
    link: Link,
    whole: bool = False,
) -> list[tuple[list[dict[str, Any]], int]]:
    """Shards of a chain in groups of about as many requests as one answer shard holds, with their number. One that owns
    more is cut into ranges of its ids (`first`, `last`), unless it must stay whole: its rows are put together for each
    range, its requests are not."""
    target = SHARD_REQUESTS if link.config.backend in ("openai", "batch") else _SHARD_REQUESTS_IN_PROCESS
    groups: list[tuple[list[dict[str, Any]], int]] = []
    members: list[dict[str, Any]] = []
    weight = 0
    for place in places:
        found = owners.get(asker(place.number))
        if found is None or not found.weight:
            continue
        shown = path_of(images, asker(place.number))
        own = place.to_work() | {"owned": found.path, "digest": found.digest, "images": shown}
        if found.weight > 2 * target and not whole:
            bounds = [(first, min(first + target, found.weight)) for first in range(0, found.weight, target)]
            groups += [([own | {"first": first, "last": last}], last - first) for first, last in bounds]
            continue
        members.append(own | {"first": 0, "last": None})
        weight += found.weight
        if weight >= target:
            groups.append((members, weight))
            members, weight = [], 0
    return [*groups, (members, weight)] if members else groups


def _identity(member: Mapping[str, Any]) -> tuple[str, ...]:
    whole = member["last"] is None
    return (member["digest"],) if whole else (member["digest"], f"{member['first']}-{member['last']}")


def path_of(answers: Mapping[str, Answers], name: str) -> str | None:
    """Where the answers of an index step to an asker lie, None if it has none."""
    found = answers.get(name)
    return None if found is None else found.path
