"""Triplets judged by a model with eyes: an endpoint on loopback that answers by the images it is shown."""

import base64
import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import pytest
from made_pairs import TEXTS, mined
from PIL import Image

from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.verify_triplets import run_verify
from beam_jobs.write_instructions import run_write
from lensmith.engine import BeamEngine
from mining.annotation import AnnotateConfig
from schemas.thumbnails import scaled
from synthesis.config import VerifyConfig, WriteConfig

CHAIN = ("verify_image", "rewrite", "verify_rewritten")
SIDE = 24
REWRITTEN = (
    "go to {}, please",
    "take me over to {}, if you can",
    "then show me precisely {} as it is, and no other thing",
)


@pytest.fixture
def chat_server():
    path = Path(__file__).parents[1] / "synthesis" / "chat_server.py"
    spec = importlib.util.spec_from_file_location("lensmith_chat_server", path)
    module = sys.modules.setdefault("lensmith_chat_server", importlib.util.module_from_spec(spec))
    if not hasattr(module, "ChatServer"):
        spec.loader.exec_module(module)
    opened = []

    def make(plan, **more):
        opened.append(module.ChatServer(plan, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def archive(workspace):
    """Images for the ids that `mined` names, as extraction leaves them; by the bytes that a model is shown, which of
    the four each is."""
    writer, shown = ShardWriter(workspace, "extract_pages", "0" * 32), {}
    for number in range(len(TEXTS)):
        sink = io.BytesIO()
        Image.new("RGB", (40, 30), (60 * number, 10, 90)).save(sink, "PNG")
        row = {"image_id": f"00{number}" + "a" * 61, "url": f"http://site.example/{number}", "source": "archive"}
        writer.row("images", row | {"bytes": sink.getvalue()})
        shown[scaled(sink.getvalue(), SIDE, 90)] = number
    workspace.set_in_force("extract_pages", [writer.commit().key], "")
    return shown


class Eyes:
    """Answers by the images and the text of a question: `says(query, target, text)` gives "right", "wrong", "several",
    "none", or what a server may do instead. `meant`: the target of a text for a query; a new text names
    it."""

    def __init__(self, shown, meant, says):
        self._shown, self._meant, self.says, self.judged, self.rewrote = shown, meant, says, [], []

    def __call__(self, question, times):
        images = [self._shown[self._bytes(part)] for part in question if part["type"] == "image_url"]
        words = " ".join(part["text"] for part in question if part["type"] == "text")
        if "Failed instruction" in words:
            self.rewrote.append(tuple(images))
            named = [text.format(TEXTS[images[1]]) for text in REWRITTEN]
            return json.dumps(dict(zip(("short", "medium", "fine"), named, strict=True)))
        text = json.loads(re.search(r'Instruction: (".*")', words)[1])
        query, *candidates = images
        named = next((number for number, name in enumerate(TEXTS) if name in text), None)
        target = self._meant.get((query, text), named)
        self.judged.append((query, target, text, tuple(candidates)))
        said = self.says(query, target, text)
        right = candidates.index(target) + 1
        numbers = {"right": right, "wrong": 1 + right % len(candidates), "several": -1, "none": 0}
        return json.dumps({"why": "so", "image": numbers[said]}) if isinstance(said, str) else said

    @staticmethod
    def _bytes(part):
        return base64.b64decode(part["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))


def prepared(path):
    workspace, manifests = mined(path, shards=1)
    shown = archive(workspace)
    session = Session(workspace, BeamEngine(()))
    triplets = run_write(session, manifests, WriteConfig(chain=("templates",), texts=1))[0]
    meant = {
        (int(row["query_image_id"][2]), row["instruction"]): target_of(row)
        for one in triplets
        for row in rows(workspace, one, "triplets")
    }
    return workspace, manifests, triplets, lambda says: Eyes(shown, meant, says)


def verify(workspace, manifests, triplets, server, writing=None, retry=False, **more):
    settings = {"timeout": 10.0, "attempts": 1, "concurrency": 2, "image_side": SIDE, "chain": CHAIN} | more
    config = VerifyConfig(backend="openai", model="m", base_url=server.url, **settings)
    session = Session(workspace, BeamEngine(()), retry_failed=retry)
    verified = run_verify(session, manifests, triplets, config, AnnotateConfig(), writing)
    return session, verified, [row for one in verified for row in rows(workspace, one, "verified")]


def entry(verified, unit):
    found = verified[0].counts.units[unit]
    return found.entered, found.kept, dict(found.rejected), dict(found.failed), found.deferred


def target_of(row):
    return TEXTS.index(row["target_text"])


def test_what_fails_is_written_anew_and_what_fails_for_good_is_dropped(chat_server, tmp_path):
    workspace, manifests, triplets, eyes_that = prepared(tmp_path)
    broken = [("status", 500, {})]

    def says(query, target, text):
        if target == 0:
            return "right"
        if target == 1:
            return "several"
        if target == 2:
            # Only the fine text leads there.
            return "right" if text.startswith("then") else "wrong"
        # Written anew it fails too; asked from the first image the server has no answer for a while.
        return broken[0] if query == 0 and broken else "none"

    eyes = eyes_that(says)
    server = chat_server(eyes)
    _, verified, found = verify(workspace, manifests, triplets, server)
    assert entry(verified, "triplet") == (12, 9, {"verifier_failed": 2}, {"http_500": 1}, 0)
    assert entry(verified, "text") == (15, 9, {"rewritten": 3, "verifier_failed": 2}, {"http_500": 1}, 0)
    by_target = {number: [row for row in found if target_of(row) == number] for number in range(4)}
    assert {row["verdict"] for row in by_target[0]} == {"pass"}
    assert {tuple(row["votes"]) for row in by_target[0]} == {(0, 0, 0)}
    assert {row["verdict"] for row in by_target[1]} == {"ambiguous"}
    assert {tuple(row["votes"]) for row in by_target[1]} == {(-1, -1, -1)}
    assert len(by_target[2]) == 3
    for row in by_target[2]:
        assert row["instruction"] == REWRITTEN[2].format("paper boat")
        assert (row["verdict"], row["votes"]) == ("pass", [0, 0, 0])
        assert row["rewritten_from"] not in (None, row["instruction"])
        (text,) = row["instructions"]
        assert (text["method"], text["model"], text["length"]) == ("rewrite", "m (as served)", "fine")
        assert text["prompt"].startswith("rewrite@")
    # Each is judged three times, among the two others of its page, which are never the query.
    assert {(query, len(candidates)) for query, _, _, candidates in eyes.judged} == {(number, 3) for number in range(4)}
    assert all(query not in candidates and target in candidates for query, target, _, candidates in eyes.judged)
    for row in found:
        order = [(row["target_image_id"], *row["distractors"])[number] for number in row["judged_order"]]
        query = int(row["query_image_id"][2])
        assert (query, target_of(row), row["instruction"], tuple(int(one[2]) for one in order)) in eyes.judged
        assert row["rank_text"] is not None
    assert set(eyes.rewrote) == {(query, 2) for query in (0, 1, 3)} | {(query, 3) for query in (1, 2)}
    # Nothing is asked again, but what failed if that is wanted.
    asked = sum(server.asked.values())
    again, same, _ = verify(workspace, manifests, triplets, server)
    assert set(again.worked.values()) <= {0}
    assert [one.digest for one in same] == [one.digest for one in verified]
    broken.clear()
    _, mended, _ = verify(workspace, manifests, triplets, server, retry=True)
    assert entry(mended, "triplet") == (12, 9, {"verifier_failed": 3}, {}, 0)
    # Three tries, one rewriting, three lengths by three.
    assert sum(server.asked.values()) == asked + 13
    # Captions are the pages' own texts.
    captions = [row for one in mended for row in rows(workspace, one, "captions")]
    assert [(row["kind"], row["text"]) for row in captions] == [("page", text) for text in TEXTS]


def test_a_budget_defers_judging_and_other_texts_stay_unchecked(chat_server, tmp_path):
    workspace, manifests, triplets, eyes_that = prepared(tmp_path)
    server = chat_server(eyes_that(lambda query, target, text: "right"))
    writing = WriteConfig(chain=("templates",), texts=1, max_requests=30)
    _, verified, found = verify(workspace, manifests, triplets, server, writing, chain=("verify_image",))
    # Thirty tries; a text lacks its verdict where one of its three is put off.
    entered, kept, rejected, failed, deferred = entry(verified, "triplet")
    assert (entered, rejected, failed, kept + deferred) == (12, {}, {}, 12)
    assert 3 <= kept <= 10
    assert sum(server.asked.values()) == 30
    _, verified, found = verify(workspace, manifests, triplets, server, chain=("verify_image",))
    assert entry(verified, "triplet")[:2] == (12, 12)
    assert sum(server.asked.values()) == 36
    assert {row["judged_by"] for row in found} == {"image"}
    # Without a judge the same triplets have ranks alone, and no answers are in force any more.
    _, _, ranked = verify(workspace, manifests, triplets, server, chain=())
    assert {row["judged_by"] for row in ranked} == {None}
    assert workspace.jobs_in_force("verify_triplets") == ["verify_triplets"]
    assert sum(server.asked.values()) == 36
