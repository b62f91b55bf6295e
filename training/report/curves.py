"""Curves over steps as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 30
_COLOURS = ("--lens", "--good", "--warn", "--bad", "--soft", "--ink")
_DASHES = ("none", "7 4", "2 4")
_TICKS = 5


@dataclass(frozen=True)
class Curve:
    """Values at steps, in the order of the steps."""

    name: str
    points: tuple[tuple[float, float], ...]


def chart(curves: Sequence[Curve], title: str, marked: float | None = None) -> Markup:
    """A picture of curves on one scale; a dotted line stands at the step `marked`. Values that are no numbers are left
    out."""
    shown = [Curve(one.name, tuple(p for p in one.points if math.isfinite(p[1]))) for one in curves]
    shown = [one for one in shown if one.points]
    if not shown:
        return Markup('<p class="sub">nothing was logged</p>')
    steps = [step for one in shown for step, _ in one.points]
    across = _Scale(min(0.0, *steps), max(steps), _LEFT, _WIDTH - _RIGHT)
    low, high = _range([value for one in shown for _, value in one.points])
    up = _Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(across, up)]
    if marked is not None:
        parts.append(_line((across(marked), _TOP), (across(marked), _HEIGHT - _BOTTOM), "--soft", "1 3"))
    parts += [_path(one, number, across, up) for number, one in enumerate(shown)]
    said = "; ".join(f"{one.name} from {one.points[0][1]:.4g} to {one.points[-1][1]:.4g}" for one in shown)
    picture = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" aria-label="{escape(f"{title}: {said}")}">'
        f"{''.join(parts)}</svg>"
    )
    return Markup(f'<figure style="margin:0">{picture}{_legend(shown)}</figure>')


class _Scale:
    """Values to places on the page."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round values within."""
        return round_values(self.low, self.high)


def round_values(low: float, high: float) -> list[float]:
    """A few values between two at steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value; zero is kept in sight where it is near."""
    low, high = min(values), max(values)
    if 0 <= low < 0.5 * high:
        low = 0.0
    return (low, high) if high > low else (low - 0.5 * abs(low or 1.0), high + 0.5 * abs(high or 1.0))


def _grid(across: _Scale, up: _Scale) -> list[str]:
    parts = [_text(across(value), _HEIGHT - 10, f"{value:.6g}", "middle") for value in across.ticks()]
    for value in up.ticks():
        y = up(value)
        parts.append(_line((_LEFT, y), (_WIDTH - _RIGHT, y), "--line", "none"))
        parts.append(_text(_LEFT - 8, y + 4, f"{value:.4g}", "end"))
    return parts


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke-dasharray="{dashes}" style="stroke:var({colour})"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}" style="fill:var(--soft)">{text}</text>'


def _path(curve: Curve, number: int, across: _Scale, up: _Scale) -> str:
    colour, dashes = _look(number)
    style = f"stroke:var({colour});fill:none"
    if len(curve.points) == 1:
        (step, value), style = curve.points[0], f"fill:var({colour})"
        return f'<circle cx="{across(step):.1f}" cy="{up(value):.1f}" r="3" style="{style}"/>'
    places = " ".join(f"{across(step):.1f},{up(value):.1f}" for step, value in curve.points)
    return f'<polyline points="{places}" stroke-width="2" stroke-dasharray="{dashes}" style="{style}"/>'


def _legend(curves: Sequence[Curve]) -> str:
    if len(curves) == 1:
        return ""
    parts = []
    for number, one in enumerate(curves):
        colour, dashes = _look(number)
        key = (
            '<svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true"><line x1="0" y1="4" x2="28" y2="4" '
            f'stroke-width="2" stroke-dasharray="{dashes}" style="stroke:var({colour})"/></svg>'
        )
        parts.append(f'<span style="margin-right:16px;white-space:nowrap">{key} {escape(one.name)}</span>')
    return f'<figcaption class="facts">{"".join(parts)}</figcaption>'


def _look(number: int) -> tuple[str, str]:
    """Colour and dashes of a curve; colours come again with other dashes."""
    return _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]
