"""A result, or a comparison of two, as one HTML page: no request leaves it, no script runs in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2

from evaluation.probes import Controls
from evaluation.report.cases import Case
from evaluation.report.code_loss import CodeRow
from evaluation.report.intervals import Interval
from evaluation.report.paired import Comparison
from evaluation.report.published import Published, protocol_words
from evaluation.report.terminal import TIES_SHOWN
from evaluation.result import Result
from evaluation.task import ImageFile

_CHANGED, _RUNGS = 25, 18

TITLES: Mapping[str, str] = {
    "fashioniq": "FashionIQ",
    "cirr": "CIRR",
    "circo": "CIRCO",
    "genecis": "GeneCIS",
    "dtin": "Domain transfer on ImageNet-R",
    "tuberlin": "TU-Berlin, zero-shot",
    "inquire": "INQUIRE, full rank",
    "inquire-rerank": "INQUIRE, rerank",
    "gpr1200": "GPR1200",
    "gldv2": "Google Landmarks v2",
    "roxford": "Revisited Oxford",
    "rparis": "Revisited Paris",
    "lensmith": "Lensmith dataset",
    "lensmith-chains": "Lensmith dataset, chains",
    "mtcir": "MTCIR",
}


@dataclass(frozen=True)
class Report:
    """What a page shows of one result. `metric` is the main one, `about` says what was scored, `pictures` are data
    addresses by file."""

    result: Result
    metric: str
    about: Mapping[str, str]
    intervals: Mapping[str, Interval]
    controls: Controls
    published: Published
    best: Sequence[Case] = ()
    worst: Sequence[Case] = ()
    pictures: Mapping[ImageFile, str] = field(default_factory=dict)
    metric_of_codes: str = ""
    codes: Sequence[CodeRow] = ()


def render_report(report: Report) -> bytes:
    """The page of one result."""
    shown = [row.metric for row in report.controls.rows]
    columns = [name for name in shown if any(name in row.values for row in report.published.same)]
    return _render(
        "result.html.jinja2",
        report=report,
        title=TITLES.get(report.result.benchmark, report.result.benchmark),
        protocol=protocol_words(report.result.benchmark, report.result.protocol),
        columns=columns,
        ladder=ladder(report),
        others=[
            (other, [name for name in shown if any(name in row.values for row in other.rows)])
            for other in report.published.other
        ],
        tied=any(high - low > TIES_SHOWN for low, high in report.result.bounds.values()),
        ties_shown=TIES_SHOWN,
        unknown_alone=not any(row.text_only is not None for row in report.controls.rows),
    )


def render_comparison(comparison: Comparison, names: tuple[str, str]) -> bytes:
    """The page of a comparison; `names` are those of the two results."""
    return _render(
        "comparison.html.jinja2",
        comparison=comparison,
        names=names,
        title=TITLES.get(comparison.benchmark, comparison.benchmark),
        protocol=protocol_words(comparison.benchmark, comparison.protocol),
        reach=max((abs(edge) for row in comparison.differences for edge in (row.low, row.high)), default=0.0) or 1.0,
        most=_CHANGED,
    )


@dataclass(frozen=True)
class Rung:
    """One bar of the ladder: widths and the whisker's ends in percent of the whole."""

    name: str
    detail: str
    value: float
    width: float
    own: bool
    low: float = 0.0
    high: float = 0.0


def ladder(report: Report) -> list[Rung]:
    """The result among the published rows of its protocol, by the main metric, the highest first; where there are
    many, the nearest above and below."""
    own = report.result.metrics[report.metric]
    interval = report.intervals.get(report.metric)
    rows = [
        (row.method, row.backbone, row.values[report.metric])
        for row in report.published.same
        if report.metric in row.values
    ]
    if not rows:
        return []
    longest = max([own, *(value for _, _, value in rows), *([interval.high] if interval else [])]) or 1.0
    rungs = [Rung(name, detail, value, 100 * value / longest, False) for name, detail, value in rows]
    ends = (100 * interval.low / longest, 100 * interval.high / longest) if interval else (0.0, 0.0)
    rungs.append(Rung("this result", "", own, 100 * own / longest, True, *ends))
    rungs.sort(key=lambda one: (-one.value, one.name, one.detail))
    place = next(number for number, one in enumerate(rungs) if one.own)
    first = max(0, min(place - _RUNGS // 2, len(rungs) - _RUNGS))
    return rungs[first : first + _RUNGS]


def chance(p: float) -> str:
    """A p to four decimals."""
    return "< 0.0001" if p < 0.00005 else f"{p:.4f}"


def _render(template: str, **values: Any) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evaluation.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "percent": "{:.2f}".format,
        "signed": "{:+.2f}".format,
        "chance": chance,
    }
    return environment.get_template(template).render(**values).encode()
