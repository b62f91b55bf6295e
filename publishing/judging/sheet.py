"""A sample as one HTML page on which a person judges it: no request leaves it, and nothing from the web runs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jinja2

from publishing.judging.judgements import FORMAT, VERDICTS
from publishing.judging.sample import Item, JudgeSample
from publishing.report.render import allow_script, link
from schemas.thumbnails import thumbnail

#: Longer sides in pixels: query and target, and what stands beside.
_LARGE, _SMALL = 480, 260
_TEXT, _SHORT = 1000, 240


def render_sheet(sample: JudgeSample, by_id: Callable[[Sequence[str]], Iterable[tuple[str, bytes]]], about: str) -> str:
    """The page. Items stand in it as JSON that only its own script reads, and puts in place as text; images become
    small JPEGs of our own. By which method a text was written is not on it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("publishing", "judging/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = _pictures(sample, by_id)
    page = environment.get_template("sheet.html.jinja2").render(
        about=_line(about, 120),
        count=len(sample.items),
        sheet={
            "format": FORMAT,
            "sample": sample.sample_id,
            "verdicts": VERDICTS,
            "items": [_shown(one) for one in sample.items],
            "pictures": pictures,
        },
    )
    return allow_script(page)


def _pictures(
    sample: JudgeSample, by_id: Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]
) -> dict[str, str | None]:
    large = {name for one in sample.items for name in (one.query_image_id, one.target_image_id)}
    every = {name for one in sample.items for name in one.image_ids}
    found = {
        name: thumbnail(data, _LARGE if name in large else _SMALL, quality=80) for name, data in by_id(sorted(every))
    }
    return {name: found.get(name) for name in sorted(every)}


def _shown(item: Item) -> Mapping[str, Any]:
    return {
        "id": item.item_id,
        "text": _line(item.text, _TEXT),
        "title": _line(item.page_title, _SHORT),
        "url": link(item.page_url),
        "query": {"image": item.query_image_id, "text": _line(item.query_text, _SHORT)},
        "target": {"image": item.target_image_id, "text": _line(item.target_text, _SHORT)},
        "beside": [{"image": one.image_id, "text": _line(one.text, _SHORT)} for one in item.distractors],
    }


def _line(text: str | None, size: int) -> str:
    """One line of at most `size` characters that UTF-8 can hold."""
    line = " ".join((text or "").encode("utf-8", "replace").decode().split())
    return line if len(line) <= size else line[: size - 1] + "…"
