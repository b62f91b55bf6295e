"""The report of a selection as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

PAGE, NUMBERS = "selection.html", "selection.json"
_HEIGHT, _WIDTH = 180, 800
#: Bars that are drawn at most; more clusters are added up.
_BARS = 80


def report_documents(told: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, bytes]:
    """`selection.json` and `selection.html`; equal reports give equal bytes. `told` is what the card tells."""
    numbers = json.dumps({"selection": told, "report": report}, indent=1, ensure_ascii=False) + "\n"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("publishing.selection"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": "{:,}".format}
    pictures = {}
    if "clusters" in report:
        pictures["clusters"] = bars(report["clusters"]["sizes"]["all"], report["clusters"]["sizes"]["chosen"])
    if "quality" in report:
        pictures["quality"] = bars(report["quality"]["histogram"]["all"], report["quality"]["histogram"]["chosen"])
    page = environment.get_template("selection.html.jinja2").render(told=told, report=report, pictures=pictures)
    return {NUMBERS: numbers.encode(), PAGE: page.encode()}


def bars(every: Sequence[int], chosen: Sequence[int]) -> Markup:
    """Pairs of bars, as SVG: the share of all rows that each place has (grey), and the share of the chosen ones."""
    groups = np.array_split(np.arange(len(every)), min(_BARS, len(every)))
    sides = []
    for counts in (every, chosen):
        total = max(1, sum(counts))
        sides.append([sum(counts[one] for one in group) / total for group in groups])
    largest = max(max(side, default=0) for side in sides) or 1.0
    step = _WIDTH / max(1, len(groups))
    parts = []
    for place, group in enumerate(groups):
        for number, (side, kind) in enumerate(zip(sides, ("all", "chosen"), strict=True)):
            high = _HEIGHT * side[place] / largest
            left = place * step + number * step * 0.42
            counted = sum((every, chosen)[number][one] for one in group)
            parts.append(
                f'<rect class="{kind}" x="{left:.2f}" y="{_HEIGHT - high:.2f}" width="{step * 0.4:.2f}" '
                f'height="{high:.2f}"><title>{kind}: {counted:,} rows, {100 * side[place]:.1f}%</title></rect>'
            )
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img">{"".join(parts)}</svg>')
