"""Charts as inline SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from publishing.report.collect import Histogram

_WIDTH = 560


def columns(histogram: Histogram) -> Markup:
    """A histogram of numbers as upright bars, with the largest count and a few labels of bins."""
    bins = histogram.bins or [("", 0)]
    height, floor, top = 170, 146, 14
    largest = max(count for _, count in bins) or 1
    step = _WIDTH / len(bins)
    parts = []
    every = max(1, round(len(bins) / 10))
    for index, (label, count) in enumerate(bins):
        size = (floor - top) * count / largest
        x = index * step
        parts.append(
            f'<rect class="bar" x="{x + 1:.1f}" y="{floor - size:.1f}" width="{max(1.0, step - 2):.1f}" '
            f'height="{size:.1f}" rx="2"><title>{escape(label)}: {count:,} {escape(histogram.unit)}</title></rect>'
        )
        if index % every == 0:
            parts.append(f'<text class="tick" x="{x + step / 2:.1f}" y="{height - 6}">{escape(label)}</text>')
    parts.append(f'<line class="axis" x1="0" y1="{floor}" x2="{_WIDTH}" y2="{floor}"/>')
    peak = f'<text class="peak" x="{_WIDTH}" y="11">{largest:,}</text>'
    return _svg(height, peak + "".join(parts), f"{histogram.title}: {histogram.total:,} {histogram.unit}")


def ranking(histogram: Histogram) -> Markup:
    """Named values as lying bars with their counts."""
    row = 24
    largest = max((count for _, count in histogram.bins), default=1) or 1
    parts = []
    for index, (label, count) in enumerate(histogram.bins):
        y = index * row
        short = label if len(label) <= 30 else label[:29] + "…"
        size = (_WIDTH - 270) * count / largest
        parts.append(f'<text class="name" x="0" y="{y + 16}">{escape(short)}</text>')
        parts.append(f'<rect class="bar" x="210" y="{y + 4}" width="{max(1.0, size):.1f}" height="15" rx="2"/>')
        parts.append(f'<text class="value" x="{218 + size:.1f}" y="{y + 16}">{count:,}</text>')
    return _svg(max(row, row * len(histogram.bins)), "".join(parts), histogram.title)


def flow(entry: Mapping[str, Any]) -> Markup:
    """What became of the units that entered a stage: kept, rejected, failed, deferred as parts of one bar."""
    total = entry["in"] or 1
    shares = [
        ("kept", entry["kept"]),
        ("rejected", sum(entry["rejected"].values())),
        ("failed", sum(entry["failed"].values())),
        ("deferred", entry["deferred"]),
    ]
    parts, x = [], 0.0
    for name, count in shares:
        if count:
            size = max(2.0, _WIDTH * count / total)
            parts.append(
                f'<rect class="{name}" x="{x:.1f}" y="0" width="{size:.1f}" height="14">'
                f"<title>{name}: {count:,}</title></rect>"
            )
            x += size
    label = ", ".join(f"{name} {count:,}" for name, count in shares if count)
    return _svg(14, "".join(parts), label, stretch=True)


def _svg(height: float, content: str, label: str, stretch: bool = False) -> Markup:
    keep = ' preserveAspectRatio="none"' if stretch else ""
    kind = "flow" if stretch else "chart"
    box = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}"'
    # Labels were escaped above, where they were put into the shapes.
    return Markup(f'<svg class="{kind}" {box}{keep}>{content}</svg>')
