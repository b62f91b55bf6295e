"""What the answers of a run took: requests, tokens and money by prompt and model, and for each accepted triplet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from beam_jobs.workspace import Workspace
from lensmith.options import ASKING_STAGES
from schemas.outcomes import Counts, total
from synthesis.costs import Price

#: The prices of the last run, so that whoever counts again needs no file of the user's.
_PRICES = "_work/prices.json"
_COUNTED = ("requests", "prompt_tokens", "completion_tokens")
_DIGITS = 6


def keep_prices(workspace: Workspace, prices: Mapping[str, Price]) -> None:
    """Note the prices by which the run's costs are told."""
    data = {model: price.model_dump(mode="json") for model, price in sorted(prices.items())}
    if data or workspace.folder.exists(_PRICES):
        workspace.folder.replace(_PRICES, json.dumps(data, indent=1).encode())


def kept_prices(workspace: Workspace) -> dict[str, Price]:
    """The prices of the last run; none if it had none."""
    try:
        data: dict[str, Any] = workspace.folder.read_json(_PRICES)
    except FileNotFoundError:
        return {}
    return {model: Price(**price) for model, price in data.items()}


def run_costs(workspace: Workspace, stages: Iterable[str] = ASKING_STAGES) -> dict[str, Any] | None:
    """The part `costs` of `funnel.json`, summed from manifests in force: a function of the answers and the prices.
    None where no model was asked.

    `tasks`: for each prompt and model `requests`, `prompt_tokens`, `completion_tokens` and `cost` (null without a
    price); `total`; `accepted`: the same divided by the triplets that verification kept, else by those written;
    `unpriced`: the models of which no price is known, where another has one.
    """
    used: dict[tuple[str, str, str], Counter[str]] = {}
    counts: dict[str, Counts] = {}
    for stage in (one for one in ASKING_STAGES if one in set(stages)):
        manifests = [
            one for job in workspace.jobs_in_force(stage) for one in workspace.manifests(job, workspace.in_force(job))
        ]
        if workspace.has_run(stage):
            counts[stage] = total(one.counts for one in manifests)
        for manifest in manifests:
            for prompt, model, counted in manifest.notes.get("usage", ()):
                used.setdefault((stage, prompt, model), Counter()).update({name: counted[name] for name in _COUNTED})
    if not used:
        return None
    return costs_of(used, kept_prices(workspace), *_accepted(counts))


def _accepted(counts: Mapping[str, Counts]) -> tuple[int, str]:
    """How many triplets were accepted, and by what."""
    if "verify_triplets" in counts:
        return counts["verify_triplets"].entry("triplet").kept, "verified"
    written = counts.get("write_instructions")
    return (written.made["triplet"] if written else 0), "written"


def costs_of(
    used: Mapping[tuple[str, str, str], Mapping[str, int]], prices: Mapping[str, Price], triplets: int, accepted: str
) -> dict[str, Any]:
    """See `run_costs`; `used` by stage, prompt and model."""
    tasks: list[dict[str, Any]] = []
    for stage, prompt, model in sorted(used, key=lambda key: (ASKING_STAGES.index(key[0]), *key[1:])):
        counted = used[stage, prompt, model]
        price = prices.get(plain_name(model))
        cost = None if price is None else price.cost(counted["prompt_tokens"], counted["completion_tokens"])
        tasks.append({"stage": stage, "prompt": prompt, "model": model, **counted, "cost": cost})
    sums: dict[str, Any] = {name: sum(one[name] for one in tasks) for name in _COUNTED}
    paid = [one["cost"] for one in tasks if one["cost"] is not None]
    sums["cost"] = sum(paid) if paid else None
    found: dict[str, Any] = {"tasks": [_rounded(one) for one in tasks], "total": _rounded(sums), "accepted": None}
    if triplets:
        shares = {name: None if value is None else value / triplets for name, value in sums.items()}
        found["accepted"] = {"triplets": triplets, "by": accepted, **_rounded(shares)}
    return found | {"unpriced": sorted({plain_name(one["model"]) for one in tasks if paid and one["cost"] is None})}


def plain_name(model: str) -> str:
    """The name of a model without its revision."""
    return model.rpartition(" (")[0] or model


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in values.items()}
