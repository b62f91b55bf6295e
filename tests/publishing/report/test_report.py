"""The report page: what it shows, what it hides, and that nothing from the web runs in it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
import zlib
from html.parser import HTMLParser

import pytest
from PIL import Image

from publishing.report.collect import TRIPLETS, collect
from publishing.report.reasons import SAMPLES
from publishing.report.render import link, render
from publishing.tombstones import Tombstones
from schemas.thumbnails import thumbnail

HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)> SCRIPT_HASH {{ 7*7 }} \u202e</title>"


def entry(stage, unit, count, kept, rejected=None, failed=None, out=None):
    dropped = {"rejected": rejected or {}, "failed": failed or {}, "deferred": 0}
    return {"stage": stage, "unit": unit, "in": count, "kept": kept, **dropped, "out": out or {}}


FUNNEL = {
    "stages": [
        entry("extract_pages", "record", 90, 80, {"http_404": 9}, {"cut_off": 1}, {"page": 12, "place": 70}),
        entry("mine_pairs", "place", 70, 60, {"too_small": 6, "unsafe": 3, "opted_out": 1}),
        entry("mine_pairs", "candidate_pair", 400, 300, {"page_cap": 100}, out={"pair": 300}),
        entry("write_instructions", "pair", 300, 60, {"nothing_to_ask": 240}, out={"triplet": 60}),
        entry("publish_dataset", "triplet", 60, 60, out={"triplet": 60}),
    ]
}


class Tables:
    """Tables in memory. Every read is noted."""

    def __init__(self, corpus):
        self.corpus = corpus
        self.rejected: dict[str, list[dict]] = {}

    def rows(self, table, stage, columns):
        if table == "rejected":
            found = self.rejected.get(stage, [])
        elif table == "pages":
            found = [{"language": None, "site": row["site"]} for row in self.corpus.rows[::5]]
        elif table == "eligible":
            found = [{"page_id": row["page_id"], "text": row["query_text"]} for row in self.corpus.rows]
        else:
            found = [{**row, "split": "train"} for row in self.corpus.rows]
        return [{name: row[name] for name in columns if name in row} for row in found]

    def by_id(self, names):
        return [(one, self.corpus.images[one]) for one in names if one in self.corpus.images]

    def by_url(self, urls):
        images = {url: self.corpus.images[one] for one, url in self.corpus.urls.items()}
        return [(one, images[one]) for one in urls if one in images]

    def page(self, funnel=FUNNEL, **more):
        report = collect(funnel, {"settings": {"publish_dataset": {"title": "Wand"}}}, self.rows, **more)
        return render(report, self.by_id, self.by_url).decode()


class Page(HTMLParser):
    """Tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self._quiet = 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._quiet += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._quiet -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._quiet:
            self.text.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def tables(corpus):
    return Tables(corpus)


def dropped(unit, reason, count, **row):
    return [
        {"unit": unit, "id": f"{reason}{n:04d}", "url": f"http://x/{reason}{n}", "reason": reason, "detail": None} | row
        for n in range(count)
    ]


def test_the_page_is_whole_in_itself(tables):
    page = Page(tables.page())
    assert not page.of("link")
    assert not page.of("iframe")
    for one in page.of("img"):
        assert one["src"].startswith("data:image/jpeg;base64,")
        assert one["alt"]
    assert all("src" not in one for one in page.of("script"))
    assert len(page.of("article")) == TRIPLETS
    assert "48 of 60 published triplets" in " ".join(page.text)


def test_triplets_show_images_texts_title_and_link(tables):
    text = tables.page()
    page = Page(text)
    links = {one["href"] for one in page.of("a") if one["href"].startswith("http")}
    assert links == {row["page_url"] for row in tables.corpus.rows}
    assert "Page 3 “quoted” &amp; more" in text
    assert "Query image: a motif" in {one["alt"] for one in page.of("img")}


def test_only_the_page_s_own_script_may_run(tables):
    for row in tables.corpus.rows:
        for name in ("page_title", "instruction", "query_text", "target_text"):
            row[name] = HOSTILE
        row["instructions"] = [{"text": HOSTILE}, {"text": HOSTILE + "2"}]
        row["page_url"] = "javascript:alert(1)//" + HOSTILE
    tables.rejected["mine_pairs"] = dropped("place", "too_small", 3, url=HOSTILE, detail=HOSTILE)
    text = tables.page()
    page = Page(text)
    assert len(page.of("script")) == 1
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (policy,) = [one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not [one for one in page.of("a") if not one["href"].startswith("#")]
    assert all(one["src"].startswith("data:image/jpeg") for one in page.of("img"))
    assert "{{ 7*7 }}" in "".join(page.text), "what looks like a template is text"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JAVA\nSCRIPT:alert(1)",
        "data:text/html,x",
        "//x/y",
        "http://[x",
        None,
        "https:alert(1)",
        "file:///etc/passwd",
        "vbscript:x",
    ],
)
def test_addresses_of_other_schemes_lead_nowhere(url):
    assert link(url) is None


def test_every_reason_has_its_count_and_bounded_samples(tables):
    urls = list(tables.corpus.urls.values())
    tables.rejected["extract_pages"] = dropped("record", "http_404", 50) + dropped("record", "error:cut_off", 1)
    tables.rejected["mine_pairs"] = [
        *(row | {"url": urls[0]} for row in dropped("place", "too_small", 50)),
        *(row | {"url": url} for row, url in zip(dropped("place", "unsafe", 9), urls, strict=False)),
        *(row | {"url": url} for row, url in zip(dropped("place", "opted_out", 9), urls, strict=False)),
    ]
    report = collect(FUNNEL, {}, tables.rows)
    found = {one.reason: one for one in report.reasons}
    assert (found["http_404"].count, len(found["http_404"].samples)) == (9, SAMPLES)
    assert found["error:cut_off"].failed
    assert len(found["too_small"].samples) == 1, "the same image on every page is shown once"
    page = Page(tables.page())
    shown = [one["alt"] for one in page.of("img") if ": http" in one["alt"]]
    assert shown == [f"too small: {urls[0]}"], "neither unsafe images nor those of owners who opted out"
    assert "too_small" not in " ".join(page.text), "reasons are written as words"


def test_pairs_show_both_images(tables):
    row = tables.corpus.rows[3]
    both = f"{row['query_image_id']} {row['target_image_id']} visual 0.9700"
    tables.rejected["write_instructions"] = dropped("pair", "nothing_to_ask", 1, id=row["pair_id"], url=row["page_url"])
    tables.rejected["mine_pairs"] = dropped("candidate_pair", "page_cap", 1, url=None, detail=both)
    report = collect(FUNNEL, {}, tables.rows)
    for name in ("nothing_to_ask", "page_cap"):
        (sample,) = next(one.samples for one in report.reasons if one.reason == name)
        assert sample.images == (row["query_image_id"], row["target_image_id"])
    assert sample.detail == "visual 0.9700"
    assert tables.page().count('<figure class="two">') == 2


def test_what_was_taken_down_is_not_shown(tables):
    row = tables.corpus.rows[0]
    tables.rejected["mine_pairs"] = dropped("place", "too_small", 1, url=row["query_image_url"])
    tables.rejected["write_instructions"] = dropped("pair", "nothing_to_ask", 1, id=row["pair_id"])
    gone = Tombstones.of([row["query_image_url"]], image_ids=[row["query_image_id"]])
    report = collect(FUNNEL, {}, tables.rows, tombstones=gone)
    assert row["triplet_id"] not in {one["triplet_id"] for one in report.triplets}
    assert not any(one.samples for one in report.reasons)
    assert all(row["query_image_id"] not in one["hard_negatives"] for one in report.triplets)
    assert report.triplet_count == 58, "the image is the query of one triplet and the target of another"


def test_a_run_without_triplets_says_so(tables):
    tables.corpus.rows.clear()
    page = Page(tables.page(triplet_table="triplets"))
    assert "There are no triplets" in " ".join(page.text)
    assert not page.of("article")


def test_a_run_that_has_not_begun_gives_a_page():
    report = collect({"stages": []}, {}, lambda *asked: [])
    text = render(report, lambda names: [], lambda names: []).decode()
    assert "Nothing has run yet" in text
    assert "Nothing was dropped" in text


def test_the_page_is_the_same_whatever_the_order_of_the_rows(tables):
    first = tables.page()
    tables.corpus.rows.reverse()
    assert tables.page() == first


def _png(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        _png(30_000, 30_000),
        _png(9_000, 9_000),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff" + b"x" * 99,
    ],
)
def test_what_cannot_be_shown_is_left_out(data):
    assert thumbnail(data, 100) is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_pictures_of_every_mode_become_small_jpegs(mode):
    sink = io.BytesIO()
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    Image.new("RGB", (640, 320), (250, 20, 20)).convert("L" if mode in ("F", "I;16") else mode).convert(mode).save(
        sink, kind
    )
    head, _, body = (thumbnail(sink.getvalue(), 100) or "").partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert (image.size, image.mode, image.format) == ((100, 50), "RGB", "JPEG")


def test_clear_parts_lie_over_white_and_turned_photographs_stand_upright():
    sink = io.BytesIO()
    Image.new("RGBA", (200, 100), (0, 0, 0, 0)).save(sink, "PNG")
    data = base64.b64decode((thumbnail(sink.getvalue(), 50) or "").partition(",")[2])
    assert Image.open(io.BytesIO(data)).getpixel((10, 10)) == (255, 255, 255)
    sink, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100)).save(sink, "JPEG", exif=exif)
    data = base64.b64decode((thumbnail(sink.getvalue(), 50) or "").partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (25, 50)


def test_a_white_drawing_on_nothing_is_seen():
    drawing = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    drawing.paste((255, 255, 255, 255), (40, 40, 60, 60))
    sink = io.BytesIO()
    drawing.save(sink, "PNG")
    data = base64.b64decode((thumbnail(sink.getvalue(), 100) or "").partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        assert image.getpixel((50, 50))[0] - image.getpixel((5, 5))[0] > 100


def test_what_judges_said_is_shown_if_there_are_any(tables):
    assert 'id="judged"' not in tables.page()
    share = {"by": "all", "name": "", "judged": 20, "good": 13, "partly": 2, "false": 4, "unclear": 1}
    share |= {"share": 0.65, "low": 0.4329, "high": 0.8188}
    judges = [{"judge": HOSTILE, "shares": [share, share | {"by": "method", "name": "span_copy"}]}]
    pairs = [
        {"judges": ["Ada", "Bo"], "items": 10, "agreed": 7, "kappa": 0.4643},
        {"judges": ["Ada", "Cy"], "items": 3, "agreed": 3, "kappa": None},
        {"judges": ["Bo", "Cy"], "items": 0, "agreed": 0, "kappa": None},
    ]
    text = tables.page(judgements={"size": 20, "by": "method", "judges": judges, "agreement": pairs})
    page = Page(text)
    told = " ".join("".join(page.text).split())
    assert "of a sample of 20 in equal parts by method" in told
    assert "all65.0%43.3–81.9" in told.replace(" ", "")
    assert "span_copy" in told
    assert "Ada and Bo agree on 7 of 10: Cohen’s κ 0.46." in told
    assert "Ada and Cy agree on 3 of 3." in told
    assert "Bo and Cy" not in told
    assert len(page.of("script")) == 1


def test_what_answers_took_is_shown_if_models_were_asked(tables):
    assert 'id="costs"' not in tables.page()
    tokens = {"requests": 1600, "prompt_tokens": 12_000, "completion_tokens": 400}
    task = {"stage": "write_instructions", "prompt": "caption@1", "model": HOSTILE, **tokens, "cost": 0.0068}
    shares = {"triplets": 60, "by": "verified", "requests": 26.7, "prompt_tokens": 200.0, "completion_tokens": 6.7}
    total = {**tokens, "cost": 0.0068}
    costs = {"tasks": [task], "total": total, "accepted": {**shares, "cost": 0.0001133}, "unpriced": ["hand"]}
    page = Page(tables.page(funnel={**FUNNEL, "costs": costs}))
    told = " ".join("".join(page.text).split())
    assert "For each of the 60 triplets that were verified: 26.7 requests, 200 tokens of prompts, 7 of answers" in told
    assert "0.000113 in money" in told
    assert "none for hand" in told
    assert "1,600" in told
    assert len(page.of("script")) == 1
    costs = {"tasks": [task | {"cost": None}], "total": total | {"cost": None}, "accepted": None, "unpriced": []}
    told = "".join(Page(tables.page(funnel={**FUNNEL, "costs": costs})).text)
    assert "answer tokens" in told
    assert "price file" not in told
