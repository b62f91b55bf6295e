from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from evaluation.embeddings import Embeddings
from evaluation.metrics import found_within
from evaluation.probes import Controls, compare_controls
from evaluation.report.cases import best_and_worst
from evaluation.report.intervals import intervals
from evaluation.report.page import Report, ladder, render_comparison, render_report
from evaluation.report.paired import compare
from evaluation.report.pictures import pictures, thumbnail
from evaluation.report.published import published_beside
from evaluation.result import Result
from evaluation.score import evaluate, match
from evaluation.task import ImageFile, Part, QueryInput, Task

Make = Callable[..., Result]
_HOSTILE = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>'


def _page(result: Result, metric: str, **more: object) -> str:
    values: dict[str, object] = {
        "about": {},
        "intervals": intervals(result),
        "controls": compare_controls(result.metrics, None, None),
        "published": published_beside(result.benchmark, result.protocol, result.split),
    }
    return render_report(Report(result, metric, **(values | more))).decode()  # type: ignore[arg-type]


def _fashioniq(result_of: Make, protocol: str) -> Result:
    parts = {one: {f"{one}/R@10": [0.0, 100.0], f"{one}/R@50": [100.0, 100.0]} for one in ("dress", "shirt", "toptee")}
    averages = {f"average/R@{k}": tuple(f"{one}/R@{k}" for one in parts) for k in (10, 50)}
    return result_of(parts, averages, protocol=protocol)


class _Outside(HTMLParser):
    """Addresses that a browser would ask for, tags with scripts, and handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "link", "object", "embed"):
            self.found.append(tag)
        for name, value in attrs:
            asks = name in ("src", "href", "srcset", "poster", "data")
            if name.startswith("on") or (asks and not (value or "").startswith("data:image/jpeg;base64,")):
                self.found.append(f"{name}={value}")


def _outside(page: str) -> list[str]:
    parser = _Outside()
    parser.feed(page)
    return parser.found + re.findall(r"url\(|@import", page)


def test_published_rows_of_the_protocol_stand_beside_the_result(result_of: Make) -> None:
    page = _page(_fashioniq(result_of, "original"), "average/R@10")
    assert "<td>LinCIR</td>" in page
    assert "SEARLE-XL" in page
    assert "do not compare" not in page
    assert "this result" in page
    assert "FiRE, tables 1 and 2" in page
    assert _outside(page) == []


def test_rows_of_another_protocol_are_said_not_to_compare(result_of: Make) -> None:
    page = _page(_fashioniq(result_of, "val"), "average/R@10")
    assert "rows do not compare with this result" in page
    assert "another protocol: original" in page
    assert 'class="rung' not in page
    assert "LinCIR" in page


def test_the_ladder_keeps_the_result_and_its_nearest(result_of: Make) -> None:
    result = _fashioniq(result_of, "original")
    report = Report(
        result,
        "average/R@10",
        {},
        intervals(result),
        Controls(()),
        published_beside("fashioniq", "original", "val"),
    )
    rungs = ladder(report)
    assert sum(one.own for one in rungs) == 1
    assert [one.value for one in rungs] == sorted((one.value for one in rungs), reverse=True)
    assert max(one.width for one in rungs) <= 100


def test_the_warning_of_a_subset_that_text_explains(result_of: Make) -> None:
    result = result_of({"subset": {"Rsubset@1": [100.0, 0.0, 100.0, 0.0]}}, benchmark="cirr", protocol="hard")
    explained = compare_controls(result.metrics, {"Rsubset@1": 49.0}, None)
    page = _page(result, "Rsubset@1", controls=explained)
    assert "explained by the text alone" in page
    assert "Not checked" not in page
    assert "Not checked" in _page(result, "Rsubset@1")


def _task(texts: Sequence[str], folder: str = "") -> tuple[Task, Embeddings]:
    """As many queries as gallery images, each wanting the one of its number."""
    size = len(texts)
    gallery = tuple(f"image{number}{_HOSTILE if number == 0 else ''}" for number in range(size))
    part = Part(
        "all",
        [f"q{number}" for number in range(size)],
        gallery,
        [np.array([number]) for number in range(size)],
        measure_targets=lambda ranks: {f"R@{k}": found_within(ranks, k) for k in (1, 2)},
        query_input=lambda number: QueryInput(ImageFile((f"{folder}{number}.png",)), {"caption": texts[number]}),
        gallery_image=lambda one: ImageFile((f"{folder}{one[5:6]}.png",)),
    )
    vectors = np.eye(size, dtype=np.float32)
    queries = vectors.copy()
    queries[0] = [0, 3, 2, 1][:size]  # q0 finds its image last
    queries[3] = [0, 0.5, 0, 1]
    return Task("lensmith", "official", "test", (part,)), Embeddings(tuple(part.queries), queries, gallery, vectors)


def test_best_and_worst_queries_by_hand() -> None:
    task, embeddings = _task(["a", "b", "c", "d"])
    result = evaluate(task, embeddings)
    best, worst = best_and_worst(task, match(task, embeddings), result, "R@1", count=2, top=2)
    # q1 and q2 are as good; q3 is right with a smaller margin.
    assert [one.query_id for one in best] == ["q1", "q2"]
    assert [one.query_id for one in worst] == ["q0", "q3"]
    assert (worst[0].rank, worst[0].values) == (4, (("R@1", 0.0), ("R@2", 0.0)))
    assert [(one.image_id, one.right) for one in worst[0].first] == [("image1", False), ("image2", False)]
    assert [one.image_id[:6] for one in worst[0].right] == ["image0"]
    assert best[0].margin == pytest.approx(1.0)
    assert worst[1].margin == pytest.approx((1 - 0.5) / np.sqrt(1.25))
    assert worst[0].text == ("a",)


def test_hostile_texts_and_names_stay_texts() -> None:
    task, embeddings = _task([_HOSTILE, "b", "c", "d"])
    result = evaluate(task, embeddings)
    best, worst = best_and_worst(task, match(task, embeddings), result, "R@1")
    page = _page(result, "R@1", best=best, worst=worst, about={"Scored": _HOSTILE})
    assert page.count("&lt;script&gt;") >= 3
    assert _outside(page) == []
    assert "connect-src" not in page
    assert "default-src 'none'; img-src data:" in page


def test_pictures_become_small_jpegs_of_our_own() -> None:
    task, embeddings = _task(["a", "b", "c", "d"])
    best, worst = best_and_worst(task, match(task, embeddings), evaluate(task, embeddings), "R@1")
    sink = io.BytesIO()
    Image.new("RGBA", (800, 400), (255, 0, 0, 128)).save(sink, "PNG")

    def read(files: Sequence[ImageFile]) -> list[tuple[ImageFile, bytes]]:
        return [(file, sink.getvalue() if file.paths[0] != "1.png" else b"no image") for file in files][:3]

    shown = pictures((*best, *worst), read)
    assert 0 < len(shown) < 4
    assert ImageFile(("1.png",)) not in shown
    page = _page(evaluate(task, embeddings), "R@1", best=best, worst=worst, pictures=shown)
    assert page.count("data:image/jpeg;base64,") >= len(shown)
    assert "not shown" in page
    assert _outside(page) == []
    address = thumbnail(sink.getvalue(), 100)
    assert address is not None
    assert thumbnail(b"GIF89a", 100) is None


def test_a_comparison_lists_what_changed(result_of: Make) -> None:
    ids = {"all": [_HOSTILE, "b", "c"]}
    first = result_of({"all": {"R@1": [0, 100, 0]}}, benchmark="lensmith", ids=ids)
    second = result_of({"all": {"R@1": [100, 0, 0]}}, benchmark="lensmith", ids=ids)
    page = render_comparison(compare(first, second), (_HOSTILE, "second.json")).decode()
    assert "&lt;script&gt;" in page
    assert _outside(page) == []
    assert "+0.00" in page
    assert "<bdi>b</bdi>" in page
    assert "<bdi>c</bdi>" not in page
