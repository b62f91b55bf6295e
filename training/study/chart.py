"""The metric over runs as SVG: a curve over the number of triplets, or a row for each run.

Colours are those of the page's style sheet, with others in their place where the picture stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import escape

from training.report.curves import round_values
from training.study.result import RunResult, StudyResult

_WIDTH, _HEIGHT, _ROW = 760, 400, 30
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 150, 26, 58
_NAMES = 30
_INK = {
    "ink": "#1f2328",
    "soft": "#6b6f76",
    "line": "#e4dfd6",
    "lens": "#b4552d",
    "quiet": "#cfc8bb",
    "card": "#ffffff",
}


def chart(result: StudyResult) -> str:
    """The picture of a result with at least one scored run."""
    shares = [one for one in result.scored if one.share is not None]
    return _curve(result, shares) if len(shares) > 1 else _rows(result)


def _curve(result: StudyResult, runs: Sequence[RunResult]) -> str:
    """Means joined by a line over triplets (logarithmic), a dot for each seed, a band from the lowest to the highest
    seed; controls are dashed lines, or a word at the edge where they are so far away that the curve would be flat."""
    metric = result.metric
    up = _Scale(*_range(result), _HEIGHT - _BOTTOM, _TOP)
    logs = [math.log2(one.triplets) for one in runs]
    across = _Scale(min(logs), max(logs), _LEFT + 24, _WIDTH - _RIGHT - 24)
    parts = []
    for tick in round_values(up.low, up.high):
        parts.append(_line(_LEFT, up(tick), _WIDTH - _RIGHT, up(tick), "line"))
        parts.append(_text(_LEFT - 8, up(tick) + 4, f"{tick:g}", "end"))
    upper = [(across(x), up(max(one.values(metric)))) for x, one in zip(logs, runs, strict=True)]
    lower = [(across(x), up(min(one.values(metric)))) for x, one in zip(logs, runs, strict=True)]
    means = [(across(x), up(one.mean(metric))) for x, one in zip(logs, runs, strict=True)]
    band = _places([*upper, *reversed(lower)])
    parts.append(f'<polygon points="{band}" fill-opacity="0.16" {_fill("lens")}/>')
    heights = [min(max(up(one.mean(metric)), _TOP), _HEIGHT - _BOTTOM) for one in result.controls]
    for run, own, height in zip(result.controls, heights, _apart(heights), strict=True):
        value = run.mean(metric)
        away = " ↓" if value < up.low else " ↑" if value > up.high else ""
        if not away:
            parts.append(_line(_LEFT, own, _WIDTH - _RIGHT, own, "soft", "6 4"))
        parts.append(_text(_WIDTH - _RIGHT + 8, height + 4, f"{run.name} {value:.1f}{away}", "start"))
    parts.append(f'<polyline points="{_places(means)}" stroke-width="2" fill="none" {_stroke("lens")}/>')
    for run, (x, y), log in zip(runs, means, logs, strict=True):
        parts += [_dot(across(log), up(value), 2.5, "quiet", "ink") for value in run.values(metric)]
        parts.append(_dot(x, y, 5, "lens", "card"))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 20, run.name, "middle", "ink"))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 36, f"{run.triplets:,}", "middle"))
    parts.append(_text(_LEFT, 14, f"{metric}, percent", "start"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, "triplets trained on", "middle"))
    return _picture(_HEIGHT, f"{metric} over triplets trained on: {_said(result)}", parts)


def _rows(result: StudyResult) -> str:
    """A row for each run: a bar from its lowest to its highest seed, a dot for each, a larger one at the mean; an arrow
    for a control that is far away."""
    metric, runs = result.metric, [*result.scored, *result.controls]
    left, height = 230, _TOP + 20 + _ROW * len(runs) + 30
    across = _Scale(*_range(result), left + 12, _WIDTH - 76)
    parts = []
    for tick in round_values(across.low, across.high):
        parts.append(_line(across(tick), _TOP, across(tick), height - 30, "line"))
        parts.append(_text(across(tick), height - 12, f"{tick:g}", "middle"))
    for number, run in enumerate(runs):
        y = _TOP + 20 + _ROW * number
        values, tone = run.values(metric), "soft" if run.control else "lens"
        name = run.name if len(run.name) <= _NAMES else run.name[: _NAMES - 1] + "…"
        parts.append(_text(left - 6, y, name, "end", "soft" if run.control else "ink"))
        parts.append(_text(left - 6, y + 12, f"{run.triplets:,} triplets" if run.triplets else "", "end", size=10))
        parts.append(_text(_WIDTH - 8, y + 4, f"{run.mean(metric):.2f}", "end", "ink"))
        if across.holds(values):
            parts.append(_line(across(min(values)), y, across(max(values)), y, tone, width=5, faint=True))
            parts += [_dot(across(value), y, 2.5, "quiet", "ink") for value in values]
            parts.append(_dot(across(run.mean(metric)), y, 5, tone, "card"))
        elif run.mean(metric) < across.low:
            parts.append(_text(left + 12, y + 4, "←", "middle"))
        else:
            parts.append(_text(_WIDTH - 76, y + 4, "→", "middle"))
    parts.append(_text(left + 12, 14, f"{metric}, percent", "start"))
    return _picture(height, f"{metric} by run: {_said(result)}", parts)


class _Scale:
    """Values to places."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = (low, high) if high > low else (low - 0.5, high + 0.5)
        self._start, self._end = start, end

    def holds(self, values: Sequence[float]) -> bool:
        """Whether all of them are in sight."""
        return self.low <= min(values) and max(values) <= self.high

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)


def _range(result: StudyResult) -> tuple[float, float]:
    """A little more than runs, and the controls near them, take; percent have ends."""
    metric = result.metric
    own = [value for one in result.scored for value in one.values(metric)]
    room = max(2 * (max(own) - min(own)), 5.0)
    least, most = min(own) - room, max(own) + room
    controls = [value for one in result.controls for value in one.values(metric)]
    shown = [*own, *(one for one in controls if least <= one <= most)]
    room = max(0.08 * (max(shown) - min(shown)), 0.5)
    return max(0.0, min(shown) - room), min(100.0, max(shown) + room)


def _apart(heights: Sequence[float], least: float = 15) -> list[float]:
    """Heights of labels in their order, moved down so that none covers another."""
    found = list(heights)
    order = sorted(range(len(heights)), key=lambda one: heights[one])
    for above, below in pairwise(order):
        found[below] = max(found[below], found[above] + least)
    return found


def _said(result: StudyResult) -> str:
    return "; ".join(f"{one.name} {one.mean(result.metric):.2f}" for one in (*result.scored, *result.controls))


def _picture(height: int, said: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="100%" role="img" '
        f'font-family="ui-sans-serif, system-ui, sans-serif" aria-label="{escape(said)}">'
        f'<rect width="{_WIDTH}" height="{height}" rx="12" {_fill("card")}/>{"".join(parts)}</svg>'
    )


def _places(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _fill(*names: str) -> str:
    """Attributes for one colour within, or for one within and one around. Those who do not know variables take the
    attribute."""
    kinds = list(zip(("fill", "stroke"), names, strict=False))
    plain = " ".join(f'{kind}="{_INK[name]}"' for kind, name in kinds)
    return f'{plain} style="{";".join(f"{kind}:var(--{name},{_INK[name]})" for kind, name in kinds)}"'


def _stroke(name: str) -> str:
    return f'stroke="{_INK[name]}" style="stroke:var(--{name},{_INK[name]})"'


def _line(
    x: float, y: float, to_x: float, to_y: float, tone: str, dashes: str = "none", width: int = 1, faint: bool = False
) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke-width="{width}" '
        f'stroke-opacity="{0.35 if faint else 1}" stroke-linecap="round" stroke-dasharray="{dashes}" '
        f"{_stroke(tone)}/>"
    )


def _dot(x: float, y: float, radius: float, tone: str, edge: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" stroke-width="1" {_fill(tone, edge)}/>'


def _text(x: float, y: float, text: str, anchor: str, tone: str = "soft", size: int = 12) -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" {_fill(tone)}'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
