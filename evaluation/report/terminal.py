"""A result and a comparison as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.probes import Controls
from evaluation.report.code_loss import CodeRow
from evaluation.report.headline import headline
from evaluation.report.intervals import Interval
from evaluation.report.paired import Comparison
from evaluation.report.published import Published, PublishedRow
from evaluation.result import Result

#: Bounds that differ by no more are not shown.
TIES_SHOWN = 0.005
_ROWS, _COLUMNS = 8, 3


def show_result(
    console: Console, result: Result, controls: Controls, errors: Mapping[str, Interval], published: Published
) -> None:
    """Metrics with intervals, bounds over ties and controls; then published rows beside the first metrics."""
    bound = any(high - low > TIES_SHOWN for low, high in result.bounds.values())
    kinds = [
        (name, values)
        for name, values in (
            ("text only", [row.text_only for row in controls.rows]),
            ("image only", [row.image_only for row in controls.rows]),
        )
        if any(value is not None for value in values)
    ]
    table = Table("metric", title=f"{result.benchmark}, {result.protocol}, {result.split}, percent")
    heads = ["value", *(["95% interval"] if errors else []), *(["worst and best over ties"] if bound else [])]
    for name in (*heads, *(name for name, _ in kinds)):
        table.add_column(name, justify="right")
    for number, row in enumerate(controls.rows):
        cells = [f"{row.full:.2f}"]
        if errors:
            found = errors.get(row.metric)
            cells.append(f"{found.low:.2f} … {found.high:.2f}" if found else "")
        if bound:
            low, high = result.bounds[row.metric]
            cells.append(f"{low:.2f} … {high:.2f}" if high - low > TIES_SHOWN else "")
        cells += ["" if values[number] is None else f"{values[number]:.2f}" for _, values in kinds]
        table.add_row(row.metric, *cells)
    console.print(table)
    console.print(", ".join(f"{name} {count}" for name, count in result.counts.items()), highlight=False)
    for warning in controls.warnings:
        console.print(Text(f"warning: {warning.text}"))
    _show_published(console, result, published)


def _show_published(console: Console, result: Result, published: Published) -> None:
    if published.same:
        metrics = _narrow(result, published)
        table = Table("published, same protocol", "backbone")
        for name in metrics:
            table.add_column(name, justify="right", no_wrap=True)
        rows = sorted(published.same, key=lambda row: [-row.values.get(name, 0.0) for name in metrics])
        for row in rows[:_ROWS]:
            table.add_row(Text(row.method), Text(row.backbone), *_values(row, metrics))
        console.print(table)
        if len(published.same) > _ROWS:
            console.print(f"and {len(published.same) - _ROWS} more: --html shows all of them, with their sources")
    for other in published.other:
        console.print(Text(f"{len(other.rows)} published rows do not compare. {other.why}"))


def _narrow(result: Result, published: Published) -> list[str]:
    """A few metrics that rows hold, the main one first, then averages, then the others."""
    order = dict.fromkeys([headline(result), *result.averages, *result.metrics])
    return [name for name in order if any(name in row.values for row in published.same)][:_COLUMNS]


def _values(row: PublishedRow, metrics: Sequence[str]) -> Iterable[str]:
    return (f"{row.values[name]:.2f}" if name in row.values else "" for name in metrics)


def show_codes(console: Console, metric: str, rows: Sequence[CodeRow]) -> None:
    """The loss against bits."""
    table = Table("code", title=f"binary codes, {metric}, percent")
    for name in ("bytes a vector", "value", "loss", "worst and best over ties"):
        table.add_column(name, justify="right")
    for row in rows:
        name = "float32" if row.bits is None else f"{row.bits} bits"
        loss = "" if row.bits is None else f"{row.loss:.2f}"
        table.add_row(name, str(row.bytes_a_vector), f"{row.value:.2f}", loss, f"{row.worst:.2f} … {row.best:.2f}")
    console.print(table)


def show_comparison(console: Console, comparison: Comparison, names: tuple[str, str]) -> None:
    """Differences with their intervals and tests, and how many queries changed."""
    title = f"{comparison.benchmark}, {comparison.protocol}, {comparison.split}: {names[1]} against {names[0]}"
    table = Table(title=Text(title), box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("metric", no_wrap=True)
    for name in ("first", "second", "difference, interval", "better/worse", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in comparison.differences:
        table.add_row(
            row.metric,
            f"{row.first:.2f}",
            f"{row.second:.2f}",
            f"{row.difference:+.2f} ({row.low:+.2f}…{row.high:+.2f})",
            f"{row.better}/{row.worse}",
            f"{row.p_holm:.4f}{'*' if row.significant else ' '}",
        )
    console.print(table)
    console.print(
        f"{comparison.metric}: {len(comparison.gained)} queries gained, {len(comparison.lost)} lost, of "
        f"{comparison.queries}. Intervals hold 95%; p is Holm-corrected, * stands at 5%.",
        highlight=False,
    )
    if comparison.only_first or comparison.only_second:
        console.print(
            f"left out: {comparison.only_first} queries of the first result alone, {comparison.only_second} of the "
            "second",
            highlight=False,
        )
