"""Charts as HTML and SVG that take their colours from the page's style sheet, and their sizes from the window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from publishing.report.collect import Histogram

#: The steps of the picture: what a reader wants to follow from archives to triplets.
_STEPS = {
    ("extract_pages", "record"): "records of the archives",
    ("extract_pages", "page"): "pages",
    ("fetch_images", "address"): "addresses to fetch",
    ("annotate_images", "image"): "images",
    ("mine_pairs", "page"): "pages mined",
    ("mine_pairs", "place"): "places of images",
    ("mine_pairs", "candidate_pair"): "candidate pairs",
    ("write_instructions", "pair"): "pairs",
    ("verify_triplets", "triplet"): "triplets written",
    ("publish_dataset", "triplet"): "triplets verified",
}
_LOSSES = ("deferred", "failed", "rejected")


@dataclass(frozen=True)
class Step:
    """One step of the funnel: what entered and what was kept, its picture, and the reasons, most frequent first."""

    stage: str
    name: str
    entered: int
    kept: int
    picture: Markup
    reasons: tuple[tuple[str, int], ...]


def steps(funnel: Mapping[str, Any]) -> list[Step]:
    """The funnel's main line. Widths go with the square root of the counts, all on one scale."""
    entries = [one for one in funnel["stages"] if (one["stage"], one["unit"]) in _STEPS and one["in"]]
    largest = max((one["in"] for one in entries), default=1)
    made = []
    for one in entries:
        dropped = {**one["rejected"], **{f"error: {name}": count for name, count in one["failed"].items()}}
        reasons = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
        name = _STEPS[one["stage"], one["unit"]]
        made.append(Step(one["stage"], name, one["in"], one["kept"], _band(one, largest, name), tuple(reasons)))
    return made


def _band(entry: Mapping[str, Any], largest: int, name: str) -> Markup:
    """A trapezoid from what entered (above) to what was kept (below); the corners that it leaves are the losses."""
    losses = {
        "rejected": sum(entry["rejected"].values()),
        "failed": sum(entry["failed"].values()),
        "deferred": entry["deferred"],
    }
    top = _width(entry["in"], largest)
    parts, left = [], entry["in"]
    for kind in ("rejected", "failed", "deferred"):
        if losses[kind]:
            parts.append(_trapezoid(kind, top, _width(left, largest)))
            left -= losses[kind]
    parts.append(_trapezoid("kept", top, _width(left, largest)))
    label = escape(f"{name}: {entry['in']:,} in, {entry['kept']:,} kept" + _listed(losses))
    return Markup(
        f'<svg class="band" viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _width(count: int, largest: int) -> float:
    return max(6.0, 1000 * math.sqrt(count / largest)) if count else 0.0


def _trapezoid(kind: str, top: float, bottom: float) -> str:
    points = f"{500 - top / 2:.1f},0 {500 + top / 2:.1f},0 {500 + bottom / 2:.1f},100 {500 - bottom / 2:.1f},100"
    return f'<polygon class="{kind}" points="{points}"/>'


def _listed(losses: Mapping[str, int]) -> str:
    return "".join(f", {losses[kind]:,} {kind}" for kind in reversed(_LOSSES) if losses[kind])


def share(count: int, entered: int, failed: bool) -> Markup:
    """A thin bar: how much of what entered was dropped for one reason."""
    part = max(0.5, 100 * count / entered) if entered else 100
    kind = "failed" if failed else "rejected"
    return Markup(f'<span class="share"><i class="{kind}" style="width:{min(100, part):.1f}%"></i></span>')


def chart(histogram: Histogram) -> Markup:
    """A histogram: lying bars for names, upright ones for numbers."""
    if not histogram.total:
        return Markup('<p class="none">nothing to count</p>')
    return _ranking(histogram) if histogram.ranked else _columns(histogram)


def _columns(histogram: Histogram) -> Markup:
    largest = max(count for _, count in histogram.bins)
    every = max(1, math.ceil(len(histogram.bins) / 8))
    parts = []
    for index, (label, count) in enumerate(histogram.bins):
        tick = f"<b>{escape(label)}</b>" if index % every == 0 else ""
        title = escape(f"{label}: {count:,} {histogram.unit}")
        size = max(1.0, 100 * count / largest) if count else 0
        parts.append(f'<span title="{title}"><i style="height:{size:.1f}%"></i>{tick}</span>')
    peak = max(histogram.bins, key=lambda one: one[1])
    label = escape(f"{histogram.title}: {histogram.total:,} {histogram.unit}, most at {peak[0]} ({peak[1]:,})")
    return Markup(f'<div class="columns" role="img" aria-label="{label}"><em>{largest:,}</em>{"".join(parts)}</div>')


def _ranking(histogram: Histogram) -> Markup:
    largest = max(count for _, count in histogram.bins)
    parts = []
    for label, count in histogram.bins:
        short = label if len(label) <= 40 else label[:39] + "…"
        bar = f'<i style="width:{max(0.5, 100 * count / largest):.1f}%"></i>'
        parts.append(f"<li><bdi>{escape(short)}</bdi><span>{bar}</span><b>{count:,}</b></li>")
    return Markup(f'<ol class="ranking">{"".join(parts)}</ol>')
