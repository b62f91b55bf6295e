"""`funnel.json`: what entered each stage and how it left, summed from manifests; and the budget of failures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from beam_jobs.workspace import Manifest, Workspace
from lensmith.costs import run_costs
from lensmith.settings import STAGES
from schemas.errors import RunFailedError
from schemas.outcomes import UNITS, Counts, total

#: Shares of a unit that may fail before the run stops.
MAX_FAILED = 0.05
MAX_FAILED_FETCHING = 0.5
#: Failures that say nothing about the run: hosts whose robots.txt cannot be read now.
_OUTSIDE_BUDGET = frozenset({"robots_unreachable"})


#: The unit that enters each stage: its entry stands in the funnel even where nothing entered.
ENTERING = {
    "extract_pages": "record",
    "fetch_images": "address",
    "annotate_images": "image",
    "mine_pairs": "page",
    "write_instructions": "pair",
    "verify_triplets": "triplet",
    "publish_dataset": "triplet",
}


def jobs_of(workspace: Workspace, stage: str) -> list[str]:
    """The jobs of a stage that have a result in force."""
    return workspace.jobs_in_force(stage)


def stage_counts(workspace: Workspace, stage: str) -> Counts:
    """The sum of a stage's manifests in force."""
    manifests: list[Manifest] = []
    for job in jobs_of(workspace, stage):
        manifests += workspace.manifests(job, workspace.in_force(job))
    return total(manifest.counts for manifest in manifests)


def funnel(workspace: Workspace, stages: Iterable[str] = STAGES) -> dict[str, Any]:
    """The content of `funnel.json`: one entry for each stage that has run and each of its units; `out` stands in a
    stage's first entry. Beside them `costs`, where models were asked (`lensmith.costs`)."""
    entries = []
    stages = tuple(stages)
    for stage in stages:
        if not jobs_of(workspace, stage):
            continue
        counts = stage_counts(workspace, stage)
        counts.entry(ENTERING[stage])
        out = dict(sorted(counts.made.items()))
        for unit in UNITS:
            if unit in counts.units:
                entries.append({"stage": stage, "unit": unit, **counts.units[unit].to_json(), "out": out})
                out = {}
    costs = run_costs(workspace, stages)
    return {"stages": entries} | ({} if costs is None else {"costs": costs})


def write_funnel(workspace: Workspace) -> dict[str, Any]:
    """Sum the manifests in force into `funnel.json`."""
    data = funnel(workspace)
    workspace.folder.replace("funnel.json", json.dumps(data, indent=1, ensure_ascii=False).encode())
    return data


def check_budget(workspace: Workspace, stage: str, max_failed: float | None) -> None:
    """Raise RunFailedError if more of some unit failed than may; rejections do not count."""
    counts = stage_counts(workspace, stage)
    if stage == "extract_pages":
        entry = counts.units.get("record")
        if entry is None or (entry.failed.total() and entry.failed.total() == entry.entered):
            raise RunFailedError(
                "no record of the inputs could be read: see rejected/extract_pages, and check that --input names "
                "WARC, ARC or WACZ files, or folders of HTML."
            )
        return
    share = max_failed
    if share is None:
        share = MAX_FAILED_FETCHING if stage == "fetch_images" else MAX_FAILED
    for unit, entry in counts.units.items():
        failed = Counter({error: count for error, count in entry.failed.items() if error not in _OUTSIDE_BUDGET})
        if failed.total() > share * entry.entered:
            error, count = failed.most_common(1)[0]
            raise RunFailedError(
                f"{stage}: {failed.total()} of {entry.entered} units '{unit}' failed ({count} of them by {error}), "
                f"more than {share:.0%}: see rejected/{stage}, then try them again with --retry failed, or raise "
                "--max-failed."
            )
