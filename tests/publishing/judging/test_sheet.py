"""The sheet: hostile texts stay texts, nothing is loaded from elsewhere, and what its script saves can be read in."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from publishing.judging.judgements import check, parse_judgements
from publishing.judging.sample import Beside, draw
from publishing.judging.sheet import render_sheet

HOSTILE = (
    "\"><script>alert('x')</script><!-- <img src=x onerror=alert(1)> SCRIPT_HASH {{ 7*7 }} \u202e\u2028 </title>\ud800"
)


def picture(color):
    sink = io.BytesIO()
    Image.new("RGB", (600, 300), color).save(sink, "PNG")
    return sink.getvalue()


class Page(HTMLParser):
    """Tags with their attributes, and the data of the elements that hold some."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.data, self._open = [], [], [""]
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        self._open.append("")

    def handle_data(self, data):
        self.data.append((self._open[-1], data))

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def sample(row):
    drawn = draw([row(number, ("a", "b")) for number in range(6)], 12)
    hostile = replace(
        drawn.items[0],
        text=HOSTILE,
        page_title=HOSTILE,
        page_url="javascript:alert(1)//" + HOSTILE,
        query_text=HOSTILE,
        target_text=None,
        distractors=(Beside("x1", HOSTILE), Beside("gone", None)),
    )
    return replace(drawn, items=(hostile, *drawn.items[1:]))


@pytest.fixture(scope="session")
def text(sample):
    files = {name: picture(color) for color, name in (("red", "x1"), ("blue", sample.items[0].query_image_id))}
    files["t3"] = b"no image"
    return render_sheet(sample, lambda names: [(one, files[one]) for one in names if one in files], HOSTILE)


@pytest.fixture(scope="session")
def sheet(text):
    (data,) = re.findall(r'<script type="application/json" id="sheet">(.*?)</script>', text, re.DOTALL)
    return json.loads(data)


def test_hostile_texts_are_texts(text, sheet):
    page = Page(text)
    assert page.of("script") == [{"type": "application/json", "id": "sheet"}, {}]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<script>alert" not in text
    assert len(page.of("title")) == 1
    first = sheet["items"][0]
    assert first["text"].startswith("\"><script>alert('x')</script><!--")
    assert first["text"].endswith("</title>?"), "half of a pair of surrogates is no text"
    assert "{{ 7*7 }}" in first["text"]
    assert first["url"] is None
    assert sheet["items"][1]["url"].startswith("https://site.example/")
    text.encode()


def test_only_its_own_script_runs_and_nothing_is_loaded(text):
    page = Page(text)
    (policy,) = [one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'; img-src data:" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert not [one for one in ("link", "iframe", "base", "object", "form") if page.of(one)]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp", script)
    assert not [one for _, one in page.tags if "src" in one or "href" in one]


def test_images_are_small_jpegs_of_our_own(sample, sheet):
    pictures = sheet["pictures"]
    assert {name for name, one in pictures.items() if one} == {"x1", sample.items[0].query_image_id}
    assert pictures["gone"] is None
    sizes = {}
    for name in ("x1", sample.items[0].query_image_id):
        head, _, data = pictures[name].partition(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            sizes[name] = image.size
    assert sizes == {"x1": (260, 130), sample.items[0].query_image_id: (480, 240)}


def test_the_method_is_hidden_from_the_judge(text, sample, sheet):
    assert sheet["sample"] == sample.sample_id
    assert [one["id"] for one in sheet["items"]] == [one.item_id for one in sample.items]
    assert all(one.keys() == {"id", "text", "title", "url", "query", "target", "beside"} for one in sheet["items"])


def test_an_empty_sheet_is_whole(row):
    page = Page(render_sheet(draw([], 5), lambda names: [], "nothing"))
    assert any("nothing to judge" in data for _, data in page.data)


RUN = """
const sheet = %(sheet)s;
const ids = sheet.items.map(item => item.id);
let state = restored(sheet, null);
if (JSON.stringify(restored(sheet, "no json")) !== JSON.stringify(state)) throw new Error("restored");
if (nextOpen(sheet, state, -1) !== 0) throw new Error("first");
for (const [at, verdict] of [[0, "good"], [1, "partly"], [2, "false"], [11, "unclear"], [2, "good"], [3, "good"]])
  give(state, ids[at], verdict);
if (nextOpen(sheet, state, 11) !== 4 || nextOpen(sheet, state, 10) !== 4) throw new Error("next");
if (takeBack(state) !== ids[3] || takeBack(state) !== ids[2]) throw new Error("undo");
state.judge = " Ada ";
state.notes[ids[1]] = " two fit ";
state = restored(sheet, JSON.stringify({ ...state, answers: { ...state.answers, alien: "good", [ids[5]]: "great" } }));
if (takeBack(state) !== null) throw new Error("empty");
console.log(JSON.stringify(saved(sheet, state)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_what_the_script_saves_is_read_in(text, sheet, sample, tmp_path):
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[-1]
    program = tmp_path / "sheet.js"
    program.write_text(script + RUN % {"sheet": json.dumps(sheet)})
    done = subprocess.run(["node", str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    judged = parse_judgements(done.stdout.encode(), "ada.json")
    check(judged, sample, "ada.json")
    ids = [one.item_id for one in sample.items]
    assert judged.judge == "Ada"
    assert judged.answers == {ids[0]: "good", ids[1]: "partly", ids[2]: "false", ids[11]: "unclear"}
    assert judged.notes == {ids[1]: "two fit"}
