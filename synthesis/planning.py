"""What a chain would take over all units, from what it took over a sample of them."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthesis.chain import Key
from synthesis.costs import Price, tokens_of
from synthesis.run_rows import StepRun

#: Normal quantile of a 95% interval.
_Z = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Spread:
    """An estimate with the ends of its 95% interval."""

    value: float
    low: float
    high: float

    def __add__(self, other: Spread) -> Spread:
        """The sum; ends are added too, which is wide where the two are independent."""
        return Spread(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Spread:
        """All three times a factor."""
        return Spread(self.value * factor, self.low * factor, self.high * factor)


def spread(values: Sequence[float], units: int, clusters: Sequence[Hashable] | None = None) -> Spread:
    """The sum over `units` of which a simple random sample has these values: mean times units, with Student's interval
    and the correction for a sample that is a good part of the whole. Of one value nothing is known but itself.

    `clusters`: what each value was drawn with, where not single units were drawn but small groups of them: the error is
    then that of a ratio of sums over groups (Cochran, Sampling Techniques, 9A.1)."""
    mean = sum(values) / len(values)
    groups: dict[Hashable, list[float]] = {}
    for number, value in enumerate(values):
        groups.setdefault(number if clusters is None else clusters[number], []).append(value - mean)
    if len(groups) < 2 or units <= len(values):
        return Spread(mean * units, mean * units, mean * units)
    squares = sum(sum(group) ** 2 for group in groups.values()) * len(groups) / (len(groups) - 1)
    part = math.sqrt(1 - len(values) / units)
    error = _student(len(groups) - 1) * math.sqrt(squares) / len(values) * part
    return Spread(mean * units, max(0.0, mean - error) * units, (mean + error) * units)


def _student(freedom: int) -> float:
    """97.5% quantile of Student's distribution: exact for one and two degrees of freedom, else the first terms of its
    expansion about the normal one (Abramowitz and Stegun 26.7.5), which are off by less than 1% from three on."""
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:
        return 0.95 / math.sqrt(2 * 0.975 * 0.025)
    z, n = _Z, freedom
    terms = (
        (z**3 + z) / 4 / n,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96 / n**2,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / n**3,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160 / n**4,
    )
    return z + sum(terms)


@dataclass(frozen=True)
class StepPlan:
    """What one step takes over all units. `cost` in the price file's currency, None without a price; `hours` of the
    machine that serves the model, None where nothing tells; `measured` where the sample told them and no price file.
    A step of which the sample says nothing has `requests` None."""

    stage: str
    step: str
    model: str
    sampled: int
    requests: Spread | None = None
    prompt_tokens: Spread = Spread(0, 0, 0)
    completion_tokens: Spread = Spread(0, 0, 0)
    cost: Spread | None = None
    hours: Spread | None = None
    measured: bool = False


def plan_step(
    stage: str, run: StepRun, keys: Mapping[Key, Hashable], units: int, price: Price | None, *, at_most: bool = False
) -> StepPlan:
    """A step over `units`, of which `keys` are those of the sample that count (all but those that failed), with what
    each was drawn with.

    `at_most`: nothing was really asked; answers are reckoned with the tokens that they may have, which is the upper
    end, and with those of the made-up ones at the lower.
    """
    link = run.link
    about = (stage, link.name, link.config.model, len(keys))
    if not keys:
        return StepPlan(*about)
    by_request: dict[str, list[dict[str, Any]]] = {}
    for row in run.answered:
        if not (at_most and row["follows"]):
            by_request.setdefault(row["follows"] or row["request_id"], []).append(row)
    used, drawn = {key: Counter[str]() for key in keys}, list(keys.values())
    for question in run.questions:
        if question.key in used:
            for request in question.requests:
                for answer in by_request.get(request.request_id, ()):
                    prompt, least = tokens_of(answer)
                    most = int(request.parameters["max_tokens"]) if at_most else least
                    used[question.key].update(requests=1, prompt=prompt, least=min(least, most), most=most)

    def over_all(name: str) -> Spread:
        return spread([one[name] for one in used.values()], units, drawn)

    def priced(price: Price, name: str) -> Spread:
        return spread([price.cost(one["prompt"], one[name]) for one in used.values()], units, drawn)

    requests, completion = over_all("requests"), over_all("most")
    if at_most:
        completion = Spread(completion.value, over_all("least").low, completion.high)
    cost = priced(price, "most") if price is not None else None
    if cost is not None and price is not None and at_most:
        cost = Spread(cost.value, priced(price, "least").low, cost.high)
    hours, measured = None, False
    if price is not None and price.tokens_per_second is not None:
        hours = completion.times(1 / price.tokens_per_second / 3600)
    elif run.asked and run.seconds > 0 and not at_most:
        hours, measured = requests.times(run.seconds / run.asked / 3600), True
    return StepPlan(*about, requests, over_all("prompt"), completion, cost, hours, measured)
