"""`lensmith judge`: a sheet, its import, a model's judgement, on a small output folder made of real tables."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from lensmith.judge_command import judge_command
from lensmith.judge_sample import draw_sample
from lensmith.model_judge import judge_by_model, judge_name
from publishing.tombstones import Tombstones, add_tombstones
from schemas import ids
from schemas.errors import ConfigurationError, RunFailedError
from schemas.storage import Folder
from synthesis.config import TaskConfig

PAGES, IMAGES = 4, 5
VERDICT = '{"why": "Only the target shows it.", "verdict": "good"}'


def picture(number):
    sink = io.BytesIO()
    small = np.random.default_rng(number).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(small).resize((900, 600)).save(sink, "PNG")
    return sink.getvalue()


def commit(workspace, job, *tables):
    writer = ShardWriter(workspace, job, "a" * 32)
    for table, rows in tables:
        for row in rows:
            writer.row(table, row)
    writer.commit()
    workspace.set_in_force(job, ["a" * 32], "basis")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An output folder with 4 pages of 5 images; on each the first leads to the second, by two methods."""
    workspace = Workspace(str(tmp_path_factory.mktemp("judge") / "out"))
    workspace.folder.create("_work/output.json", json.dumps({"layout": 1, "shard_bytes": 1, "buckets": 1}).encode())
    images, eligible, annotations, verified = [], [], [], []
    for page in range(PAGES):
        url = f"https://site{page}.example/page.html"
        page_id = ids.page_id(url, "0" * 64)
        names = []
        for number in range(IMAGES):
            data = picture(page * IMAGES + number)
            names.append(ids.image_id(data))
            address = f"https://site{page}.example/{number}.png"
            images.append({"image_id": names[-1], "url": address, "bytes": data, "source": "archive"})
            sketch = np.array([100, number * 10], np.int8).tobytes()
            seen = {"page_id": page_id, "page_url": url, "site": "x", "image_id": names[-1], "position": number}
            seen |= {"url": address, "width": 900, "height": 600}
            eligible.append(seen | {"text": f"text {page}.{number}", "sketch": sketch, "phash": "0" * 16})
            size = {"width": 900, "height": 600, "format": "PNG", "animated": False, "phash": "0" * 16, "flatness": 0.1}
            told = {"label": f"label {number}", "caption": f"caption {page}.{number}"}
            annotations.append({"image_id": names[-1], "sketch": sketch, "models": "m", **size, **told})
        pair = ids.pair_id(page_id, names[0], names[1])
        texts = [
            {"text": f"{word} of page {page}", "method": method, "direction": "forward", "length": "short"}
            | {"model": "m", "prompt": "p@1", "verdict": "pass"}
            for word, method in (("colours", "span_copy"), ("edges", "templates"))
        ]
        verified.append(
            {
                "triplet_id": ids.triplet_id(pair, texts[0]["text"]),
                "instruction": texts[0]["text"],
                "instructions": texts,
                "pair_id": pair,
                "page_id": page_id,
                "query_image_id": names[0],
                "target_image_id": names[1],
                "visual_similarity": 0.5,
                "mining": "co_occurrence",
                "hard_negatives": [names[0]],
                "page_url": url,
                "page_title": f"Page {page}",
                "query_image_url": f"https://site{page}.example/0.png",
                "target_image_url": f"https://site{page}.example/1.png",
                "query_text": f"text {page}.0",
                "target_text": f"text {page}.1",
                "crawl_date": datetime(2026, 1, 1, tzinfo=UTC),
                "site": "x",
                "verdict": "pass",
            }
        )
    commit(workspace, "extract_pages", ("images", images))
    commit(workspace, "annotate_images", ("annotations", annotations))
    commit(workspace, "mine_pairs", ("eligible", eligible))
    commit(workspace, "verify_triplets", ("verified", verified))
    return workspace


@pytest.fixture
def workspace(made, tmp_path):
    """A copy of that folder."""
    shutil.copytree(made.path, tmp_path / "out")
    return Workspace(str(tmp_path / "out"))


@pytest.fixture
def judge(workspace, tmp_path, monkeypatch):
    """`judge(arguments…)`: what the command says; errors are raised."""
    app = typer.Typer()
    app.command()(judge_command)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        done = CliRunner().invoke(app, [workspace.path, *map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


def sheet_of(path):
    (data,) = re.findall(r'<script type="application/json" id="sheet">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(data)


def saved(path, sheet, judge, verdicts):
    answers = [{"id": one["id"], "verdict": verdict} for one, verdict in zip(sheet["items"], verdicts, strict=False)]
    data = {"lensmith_judgements": 1, "sample": sheet["sample"], "judge": judge, "answers": answers}
    path.write_text(json.dumps(data))
    return path


def test_a_sheet_holds_each_text_with_its_images(judge, tmp_path):
    said = judge("--sample", 6, "--output", tmp_path / "new" / "sheet.html")
    assert "6 texts to judge, of span_copy 4, templates 4" in said
    sheet = sheet_of(tmp_path / "new" / "sheet.html")
    words = [one["text"].split()[0] for one in sheet["items"]]
    assert sorted(words) == ["colours"] * 3 + ["edges"] * 3
    for one in sheet["items"]:
        page = one["text"].split()[-1]
        assert one["target"]["text"] == f"text {page}.1"
        # From the target's direction (100, 10) the others lie at (100, 20), (100, 30) and (100, 40).
        assert [each["text"] for each in one["beside"]] == [f"text {page}.{number}" for number in (2, 3, 4)]
        assert all(sheet["pictures"][each["image"]].startswith("data:image/jpeg") for each in one["beside"])


def test_the_same_sheet_again_and_another_by_another_seed(judge, workspace):
    judge("--sample", 6)
    first = Path(workspace.path, "judge.html").read_bytes()
    judge("--sample", 6)
    assert Path(workspace.path, "judge.html").read_bytes() == first
    judge("--sample", 6, "--seed", 1)
    assert Path(workspace.path, "judge.html").read_bytes() != first


def test_two_judges_are_read_in_and_compared(judge, workspace, tmp_path):
    judge()
    sheet = sheet_of(Path(workspace.path, "judge.html"))
    assert len(sheet["items"]) == 8
    ada = saved(tmp_path / "ada.json", sheet, "Ada", ["good"] * 6 + ["false"] * 2)
    bo = saved(tmp_path / "bo.json", sheet, "[bold]Bo[/bold]", ["good"] * 5 + ["false"] * 3)
    said = judge("--import", ada, "--import", bo)
    assert "Ada: 8 judgements\n" in said
    assert "75.0%" in said
    # Agreed 7 of 8; by chance (6·5 + 2·3) / 64 = 0.5625: (0.875 - 0.5625) / 0.4375 = 0.714.
    assert "Ada and [bold]Bo[/bold]: agree on 7 of 8, Cohen's κ 0.71" in said
    found = json.loads(Path(workspace.path, "judgements.json").read_text())
    assert [one["judge"] for one in found["judges"]] == ["Ada", "[bold]Bo[/bold]"]
    assert [one["name"] for one in found["judges"][0]["shares"]] == ["", "span_copy", "templates"]
    later = saved(tmp_path / "later.json", sheet, "Ada", ["good"] * 8)
    assert "Ada: 8 judgements; they replace the earlier ones" in judge("--import", later)
    found = json.loads(Path(workspace.path, "judgements.json").read_text())
    assert [one["shares"][0]["good"] for one in found["judges"]] == [8, 5]


def test_nothing_is_kept_of_an_import_with_a_fault(judge, workspace, tmp_path):
    judge("--sample", 6)
    sheet = sheet_of(Path(workspace.path, "judge.html"))
    good = saved(tmp_path / "good.json", sheet, "Ada", ["good"] * 6)
    judge("--sample", 6, "--seed", 1)
    second = sheet_of(Path(workspace.path, "judge.html"))
    cases = {
        "cannot read": tmp_path / "none.json",
        "both by 'Ada'": saved(tmp_path / "twin.json", sheet, "Ada", ["false"]),
        "of another sample": saved(tmp_path / "second.json", second, "Bo", ["false"]),
        "does not have": saved(tmp_path / "far.json", {**sheet, "sample": "0" * 32}, "Bo", ["false"]),
        "is not in it": saved(tmp_path / "alien.json", {**sheet, "items": [{"id": "x"}]}, "Bo", ["false"]),
        "a name of models": saved(tmp_path / "model.json", sheet, "model x", ["false"]),
        "Save button": Path(workspace.path, "judge.html"),
    }
    for words, path in cases.items():
        with pytest.raises(ConfigurationError, match=words):
            judge("--import", good, "--import", path)
    assert not workspace.folder.exists("judgements.json")
    assert not workspace.folder.exists(f"judgements/{sheet['sample']}/judges")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "colour"), "there are method"),
        (("--import", "a.json", "--by-model"), "give one of them"),
        (("--no-images",), "belongs to --by-model"),
        (("--output", "sheet.pdf"), "must end in .html"),
    ],
)
def test_wrong_usage_is_told(judge, arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        judge(*arguments)


def test_a_folder_without_triplets_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="has no triplets to judge"):
        draw_sample(Workspace(str(tmp_path)), 5, "method", 0)


def test_what_was_taken_down_is_not_shown(workspace):
    gone = Tombstones.of(urls=["https://site0.example/page.html", "https://site1.example/3.png"])
    add_tombstones(Folder(f"{workspace.path}/_work"), gone)
    drawn = draw_sample(workspace, 100, "method", 0)
    assert {one.page_url for one in drawn.items} == {f"https://site{page}.example/page.html" for page in (1, 2, 3)}
    (first, _) = [one for one in drawn.items if "site1" in one.page_url]
    assert [one.text for one in first.distractors] == ["text 1.2", "text 1.4"]


class Writer:
    """Answers as it is told and counts what it is asked."""

    name, revision = "tiny", "1"

    def __init__(self, say=lambda request, times: VERDICT):
        self.asked, self._say = [], say

    def stream(self, requests):
        for request in requests:
            self.asked.append(request)
            text = self._say(request, len(self.asked))
            error = "http_400" if text is None else None
            yield None
            yield request, {"text": text, "error": error, "finish_reason": "stop", "tries": 1}


def by_model(workspace, writer, images=True, size=8, **settings):
    config = TaskConfig(model="tiny", **settings)
    drawn = draw_sample(workspace, size, "method", 0)
    return judge_by_model(workspace, drawn, config, lambda: writer, images=images)


def test_a_model_sees_the_images_scaled_and_is_asked_once(workspace):
    writer = Writer()
    found = by_model(workspace, writer, image_side=150)
    assert found.judgements.judge == "model tiny"
    assert set(found.judgements.answers.values()) == {"good"}
    assert set(found.judgements.notes.values()) == {"Only the target shows it."}
    assert len(found.judgements.answers) == len(writer.asked) == 8
    assert not found.missing
    for request in writer.asked:
        assert len(request["images"]) == len(request["image_ids"]) == 5
        for data in request["images"]:
            with Image.open(io.BytesIO(data)) as image:
                assert (image.format, image.size) == ("JPEG", (150, 100))
    second = Writer()
    assert by_model(workspace, second, image_side=150) == found
    assert not second.asked
    by_model(workspace, second, images=False)
    assert len(second.asked) == 8, "without images it is another question"
    assert all("images" not in one and 'caption: "caption' in one["messages"][-1]["content"] for one in second.asked)


def test_an_answer_that_cannot_be_read_is_asked_for_again(workspace):
    writer = Writer(lambda request, times: VERDICT if len(request["messages"]) > 2 else "well, good I think")
    found = by_model(workspace, writer, images=False)
    assert len(writer.asked) == 16
    assert len(found.judgements.answers) == 8
    second = Writer()
    assert by_model(workspace, second, images=False) == found
    assert not second.asked


def test_items_that_a_model_does_not_judge_are_counted(workspace):
    def say(request, times):
        return None if times == 1 else "no" if times == 2 or len(request["messages"]) > 2 else VERDICT

    found = by_model(workspace, Writer(say), images=False)
    assert len(found.judgements.answers) == 6
    assert found.missing == {"http_400": 1, "unparsable_answer": 1}


def test_names_of_model_judges_fit_and_differ():
    long = "owner/" + "x" * 90
    assert judge_name("a/b") == "model a/b"
    assert len(judge_name(long)) == len(judge_name(long, images=False)) == 80
    assert judge_name(long) != judge_name(long, images=False)


def chat_server_module():
    path = Path(__file__).parents[1] / "synthesis" / "chat_server.py"
    spec = importlib.util.spec_from_file_location("lensmith_chat_server", path)
    module = sys.modules.setdefault("lensmith_chat_server", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


def test_a_model_behind_an_endpoint_judges_beside_people(judge, workspace, tmp_path):
    judge()
    sheet = sheet_of(Path(workspace.path, "judge.html"))
    judge("--import", saved(tmp_path / "ada.json", sheet, "Ada", ["good"] * 4 + ["false"] * 4))
    server = chat_server_module().ChatServer(lambda question, times: VERDICT)
    settings = {"backend": "openai", "model": "eyeless", "base_url": server.url}
    (tmp_path / "own.yaml").write_text(json.dumps({"write_instructions": {"tasks": {"judge": settings}}}))
    try:
        said = judge("--by-model", "--no-images", "--config", tmp_path / "own.yaml")
        asked = len(server.bodies)
        again = judge("--by-model", "--no-images", "--config", tmp_path / "own.yaml")
    finally:
        server.close()
    assert asked == len(server.bodies) == 8
    assert "model eyeless (texts only): 8 judgements\n" in said
    assert "model eyeless (texts only): 8 judgements\n" in again
    found = json.loads(Path(workspace.path, "judgements.json").read_text())
    assert [one["judge"] for one in found["judges"]] == ["Ada", "model eyeless (texts only)"]
    (pair,) = found["agreement"]
    assert (pair["items"], pair["agreed"], pair["kappa"]) == (8, 4, 0.0)


def test_a_model_that_judges_nothing_is_told(judge, tmp_path):
    server = chat_server_module().ChatServer(lambda question, times: "I would rather not.")
    settings = {"backend": "openai", "model": "m", "base_url": server.url}
    (tmp_path / "own.yaml").write_text(json.dumps({"write_instructions": {"tasks": {"judge": settings}}}))
    try:
        with pytest.raises(RunFailedError, match="unparsable_answer 8"):
            judge("--by-model", "--no-images", "--config", tmp_path / "own.yaml")
    finally:
        server.close()
