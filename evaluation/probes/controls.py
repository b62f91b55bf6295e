"""Controls beside a result: what the text alone and the image alone reach on the same benchmark.

On a composed query both must matter. Where one of them alone comes as far, the number says nothing of composition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: From this share of what the full result has above chance, the text alone explains a subset recall.
EXPLAINED = 0.8

#: CIRR's subsets hold five candidates, of which one is right.
SUBSET_SIZE = 5

_SUBSET = re.compile(r"(?:.*/)?Rsubset@(\d+)$")

Verdict = Literal["explained_by_text", "text_alone_as_good", "image_alone_as_good"]


@dataclass(frozen=True)
class ControlRow:
    """One metric of the three results, percent; a control that was not run is None."""

    metric: str
    full: float
    text_only: float | None
    image_only: float | None


@dataclass(frozen=True)
class ControlWarning:
    """One sentence for the reader, and what it is about."""

    metric: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Controls:
    """The rows in the order of the full result's metrics, and the warnings."""

    rows: tuple[ControlRow, ...]
    warnings: tuple[ControlWarning, ...] = field(default=())


def compare_controls(
    full: Mapping[str, float],
    text_only: Mapping[str, float] | None,
    image_only: Mapping[str, float] | None,
    *,
    chance: Mapping[str, float] | None = None,
    explained: float = EXPLAINED,
) -> Controls:
    """Set metrics (name → percent, the higher the better) beside those of the controls; metrics that only a control
    has are left out.

    Warns where a subset recall (`Rsubset@K`) is explained by the text alone: where the text reaches at least the share
    `explained` of what the full result has above chance, K in 5 (`chance` gives other values by metric, in percent,
    and names further metrics of this kind). Warns of any other metric where a control is as good as the full result,
    zeros apart."""
    levels = dict(chance or {})
    for metric in full:
        found = _SUBSET.match(metric)
        if found:
            levels.setdefault(metric, 100 * min(int(found[1]), SUBSET_SIZE) / SUBSET_SIZE)
    rows, warnings = [], []
    for metric, value in full.items():
        row = ControlRow(metric, value, (text_only or {}).get(metric), (image_only or {}).get(metric))
        rows.append(row)
        by_text = _explained(row, levels[metric], explained) if metric in levels else None
        warnings += [by_text] if by_text else _as_good(row)
    return Controls(tuple(rows), tuple(warnings))


def control_table(controls: Controls) -> str:
    """The rows and the warnings as plain text, one line each."""
    width = max([len("metric"), *(len(row.metric) for row in controls.rows)])
    lines = [f"{'metric':<{width}}  {'full':>7}  {'text':>7}  {'image':>7}"]
    for row in controls.rows:
        values = "  ".join(
            f"{'-':>7}" if value is None else f"{value:>7.2f}" for value in (row.full, row.text_only, row.image_only)
        )
        lines.append(f"{row.metric:<{width}}  {values}")
    return "\n".join([*lines, *(f"warning: {warning.text}" for warning in controls.warnings)])


def _explained(row: ControlRow, chance: float, share: float) -> ControlWarning | None:
    if row.text_only is None or row.text_only <= chance:
        return None
    above = row.full - chance
    reached = row.text_only - chance
    if reached < share * above:
        return None
    part = f"{min(100.0, 100 * reached / above):.0f}%" if above > 0 else "all"
    return ControlWarning(
        row.metric,
        "explained_by_text",
        f"{row.metric} is explained by the text alone: without the image it is {row.text_only:.2f}, {part} of what the "
        f"full result ({row.full:.2f}) has above chance ({chance:.2f}); do not read it as a measure of composition.",
    )


def _as_good(row: ControlRow) -> list[ControlWarning]:
    found = []
    if row.text_only is not None and row.text_only >= row.full and row.text_only > 0:
        found.append(_warning(row, "text_alone_as_good", "text", row.text_only))
    if row.image_only is not None and row.image_only >= row.full and row.image_only > 0:
        found.append(_warning(row, "image_alone_as_good", "image", row.image_only))
    return found


def _warning(row: ControlRow, verdict: Verdict, kind: str, value: float) -> ControlWarning:
    return ControlWarning(
        row.metric,
        verdict,
        f"{row.metric} is {value:.2f} with the {kind} alone, no less than with both ({row.full:.2f}).",
    )
