"""A report to one HTML page: no request leaves it, and nothing from the web runs in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import jinja2
from PIL import Image, ImageOps

from publishing.report.charts import columns, flow, ranking
from publishing.report.collect import Reason, Report

_SIDE = 360
_SMALL = 150
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError)
_MAX_PIXELS = 80_000_000
_STAGE_WORDS = {
    "extract_pages": "Archives to pages, places and images",
    "fetch_images": "Images that no archive holds",
    "annotate_images": "What models see",
    "mine_pairs": "Pages to pairs",
    "write_instructions": "Pairs to instructions",
    "verify_triplets": "Instructions against their page",
    "publish_dataset": "Splits and files",
}

#: Image ids → files, for those that can be had; addresses → files likewise.
Files = Callable[[Sequence[str]], Mapping[str, bytes]]


def render(report: Report, by_id: Files, by_url: Files) -> bytes:
    """The page. Images become small JPEGs of our own: no file of the web is passed on."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("publishing", "report/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": "{:,}".format, "words": lambda name: name.replace("_", " "), "link": _link}
    environment.globals |= {"columns": columns, "ranking": ranking, "flow": flow}
    ids = [row[name] for row in report.triplets for name in ("query_image_id", "target_image_id")]
    pictures = {name: _thumbnail(data, _SIDE) for name, data in by_id(list(dict.fromkeys(ids))).items()}
    urls = [row["url"] for reason in report.reasons for row in reason.samples if row["url"]]
    dropped_ids = [row["id"] for reason in report.reasons if reason.unit == "image" for row in reason.samples]
    dropped = {url: _thumbnail(data, _SMALL) for url, data in by_url(list(dict.fromkeys(urls))).items()}
    dropped |= {name: _thumbnail(data, _SMALL) for name, data in by_id(list(dict.fromkeys(dropped_ids))).items()}
    page = environment.get_template("report.html.jinja2").render(
        report=report,
        stages=_stages(report),
        triplets=[
            row | {"query": pictures.get(row["query_image_id"]), "target": pictures.get(row["target_image_id"])}
            for row in map(dict, report.triplets)
        ],
        dropped=dropped,
        headline=_headline(report),
    )
    return page.encode()


def _stages(report: Report) -> list[dict[str, Any]]:
    """The funnel by stage, each with its units and the reasons of each unit, most frequent first."""
    stages: dict[str, dict[str, Any]] = {}
    by_unit: dict[tuple[str, str], list[Reason]] = {}
    for reason in report.reasons:
        by_unit.setdefault((reason.stage, reason.unit), []).append(reason)
    for entry in report.funnel["stages"]:
        name = entry["stage"]
        stage = stages.setdefault(name, {"name": name, "about": _STAGE_WORDS.get(name, ""), "units": []})
        reasons = sorted(by_unit.get((name, entry["unit"]), []), key=lambda one: (-one.count, one.reason))
        stage["units"].append({"entry": entry, "reasons": reasons})
    return list(stages.values())


def _headline(report: Report) -> list[tuple[str, int]]:
    out: dict[str, int] = {}
    for entry in report.funnel["stages"]:
        for unit, count in entry["out"].items():
            if (entry["stage"], unit) in _HEADLINE:
                out[_HEADLINE[entry["stage"], unit]] = count
    return list(out.items())


_HEADLINE = {
    ("extract_pages", "page"): "pages",
    ("extract_pages", "place"): "places of images",
    ("mine_pairs", "pair"): "pairs",
    ("write_instructions", "triplet"): "instructions written",
    ("publish_dataset", "triplet"): "triplets published",
}


def _thumbnail(data: bytes, side: int) -> str | None:
    """A JPEG of at most `side` pixels as a data address; None for what cannot be shown."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            if image.format == "JPEG":
                image.draft("RGB", (side * 2, side * 2))
            upright = ImageOps.exif_transpose(image)
            layered = upright.convert("RGBA")
            page = Image.new("RGBA", layered.size, (255, 255, 255, 255))
            small = Image.alpha_composite(page, layered).convert("RGB")
            small.thumbnail((side, side))
            sink = io.BytesIO()
            small.save(sink, "JPEG", quality=82, optimize=True)
    except _BROKEN:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()


def _link(url: str | None) -> str:
    """An address that may be followed: http and https only, anything else leads nowhere."""
    try:
        scheme = urlsplit(url or "").scheme
    except ValueError:
        return "#"
    return url or "#" if scheme in ("http", "https") else "#"
