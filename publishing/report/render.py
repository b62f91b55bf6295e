"""A report to one HTML page: no request leaves it, and nothing from the web runs in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import jinja2

from publishing.card import money
from publishing.report.charts import chart, share, steps
from publishing.report.collect import Histogram, Report
from publishing.report.reasons import Dropped, Reason
from schemas.thumbnails import thumbnail

_SIDE, _SMALL = 360, 150
#: Hard negatives of a triplet that are shown, the query image not counted.
_NEGATIVES = 4
_TEXTS = 4
_STAGE_WORDS = {
    "extract_pages": "Archives to pages, places and images",
    "fetch_images": "Images that no archive holds",
    "annotate_images": "What models see",
    "mine_pairs": "Pages to pairs",
    "write_instructions": "Pairs to instructions",
    "verify_triplets": "Instructions against their page",
    "publish_dataset": "Splits and files",
}
_HEADLINE = {
    ("extract_pages", "page"): "pages",
    ("extract_pages", "place"): "places of images",
    ("mine_pairs", "pair"): "pairs",
    ("write_instructions", "triplet"): "instructions written",
    ("publish_dataset", "triplet"): "triplets published",
}

#: Image ids, or addresses, to files, one at a time, for those that can be had.
Files = Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]


def render(report: Report, by_id: Files, by_url: Files) -> bytes:
    """The page. Images become small JPEGs of our own: no file of the web is passed on."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("publishing", "report/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": "{:,}".format, "words": _words, "link": link, "short": _short, "money": money}
    environment.globals |= {"chart": chart, "share": share}
    pictures = _Pictures(report, by_id, by_url)
    page = environment.get_template("report.html.jinja2").render(
        report=report,
        about=report.run.get("settings", {}).get("publish_dataset", {}).get("title") or "From web pages to triplets",
        headline=_headline(report),
        steps=steps(report.funnel),
        triplets=[_card(row, pictures) for row in report.triplets],
        splits=[one for one in ("train", "validation", "test") if any(r.get("split") == one for r in report.triplets)],
        stages=_dropped_by_stage(report, pictures),
        times=_times(report),
    )
    return allow_script(page).encode("utf-8", "replace")


class _Pictures:
    """Thumbnails of everything that the page shows, made while files come in one by one."""

    def __init__(self, report: Report, by_id: Files, by_url: Files) -> None:
        large = {row[name] for row in report.triplets for name in ("query_image_id", "target_image_id")}
        small = {one for row in report.triplets for one in row["hard_negatives"][1 : 1 + _NEGATIVES]}
        urls = set()
        for reason in report.reasons:
            for row in reason.samples if reason.shown else ():
                small |= set(row.images)
                urls |= {row.url} if row.url and reason.unit == "place" else set()
        self.large: dict[str, str | None] = {}
        self.small: dict[str, str | None] = {}
        for name, data in by_id(sorted(large | small)):
            if name in large:
                self.large[name] = thumbnail(data, _SIDE)
            if name in small:
                self.small[name] = thumbnail(data, _SMALL, quality=75)
        for url, data in by_url(sorted(urls)):
            self.small[url] = thumbnail(data, _SMALL, quality=75)

    def of_dropped(self, row: Dropped, reason: Reason) -> list[str]:
        """The image of a place with the one that it repeats, or both images of a pair, if they may be shown."""
        if not reason.shown:
            return []
        names = [row.url, *row.images] if reason.unit == "place" and row.url else list(row.images)
        found = [self.small.get(name) for name in names[:2]]
        return list(dict.fromkeys(one for one in found if one is not None))


def _card(row: Mapping[str, Any], pictures: _Pictures) -> dict[str, Any]:
    negatives = [pictures.small.get(one) for one in row["hard_negatives"][1 : 1 + _NEGATIVES]]
    texts = [one["text"] for one in row.get("instructions") or ()]
    return {
        **row,
        "query": pictures.large.get(row["query_image_id"]),
        "target": pictures.large.get(row["target_image_id"]),
        "negatives": [one for one in negatives if one],
        "more": [one for one in texts if one != row["instruction"]][:_TEXTS],
        "split": row.get("split") or "",
        "verdict": row.get("verdict") or "unchecked",
        "ranked": row.get("candidates") is not None and row.get("rank_both") is not None,
    }


def _dropped_by_stage(report: Report, pictures: _Pictures) -> list[dict[str, Any]]:
    """Stages that dropped something, each with its reasons and what is shown of them."""
    stages = []
    for name, reasons in groupby(report.reasons, key=lambda one: one.stage):
        rows = [
            {
                "about": one,
                "seen": [(row, found) for row in one.samples if (found := pictures.of_dropped(row, one))],
                "told": [row for row in one.samples if not pictures.of_dropped(row, one)],
            }
            for one in reasons
            if one.count
        ]
        if rows:
            stages.append({"name": name, "about": _STAGE_WORDS.get(name, ""), "reasons": rows})
    return stages


def _headline(report: Report) -> list[tuple[str, int]]:
    out: dict[str, int] = {}
    for entry in report.funnel["stages"]:
        for unit, count in entry["out"].items():
            if (entry["stage"], unit) in _HEADLINE:
                out[_HEADLINE[entry["stage"], unit]] = count
    for entry in report.funnel["stages"]:
        if (entry["stage"], entry["unit"]) == ("take_down", "triplet"):
            out["triplets published"] = entry["kept"]
    return list(out.items())


def _times(report: Report) -> Histogram | None:
    stages = report.run.get("stages")
    if not isinstance(stages, Mapping) or not any(round(seconds) for seconds in stages.values()):
        return None
    bins = [(_words(name), round(seconds)) for name, seconds in stages.items()]
    return Histogram("Time of each stage", "seconds", bins, ranked=True)


def allow_script(page: str) -> str:
    """Name the hash of the page's last script in its policy: a browser runs that one and no other."""
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return page.replace("SCRIPT_HASH", f"sha256-{digest}", 1)


def link(url: str | None) -> str | None:
    """An address that may be followed: http and https with a host only; None for anything else."""
    try:
        parts = urlsplit((url or "").strip())
    except ValueError:
        return None
    return (url or "").strip() if parts.scheme in ("http", "https") and parts.netloc else None


def _words(name: str) -> str:
    return name.replace("error:", "error: ").replace("_", " ")


def _short(text: str | None, size: int = 160) -> str:
    """One line of at most `size` characters."""
    line = " ".join((text or "").split())
    return line if len(line) <= size else line[: size - 1] + "…"
