"""The jobs of instructions on tables made by hand: a real endpoint on loopback, child processes, pipelines."""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from beam_jobs import write_instructions
from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.verify_triplets import run_verify, verify_in_child
from beam_jobs.workspace import Workspace
from beam_jobs.write_instructions import run_write
from lensmith.engine import BeamEngine
from mining.annotation import AnnotateConfig
from mining.models.minilm import MiniLM
from schemas.errors import ConfigurationError
from schemas.ids import pair_id
from synthesis.config import VerifyConfig, WriteConfig

TEXTS = ("red fox", "old bridge", "paper boat", "stone arch")


def answers(question, times=1):
    """A text for the target that the question names."""
    target = question.rsplit(": ", 1)[-1]
    return json.dumps({"instructions": [{"text": f"show the {target} instead"}]})


@pytest.fixture
def chat_server():
    path = Path(__file__).parents[1] / "synthesis" / "chat_server.py"
    spec = importlib.util.spec_from_file_location("lensmith_chat_server", path)
    module = sys.modules.setdefault("lensmith_chat_server", importlib.util.module_from_spec(spec))
    if not hasattr(module, "ChatServer"):
        spec.loader.exec_module(module)
    opened = []

    def make(plan=answers, **more):
        opened.append(module.ChatServer(plan, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def mined(path, shards=2, pages=1):
    """Shards of `mine_pairs` as the job leaves them: pages with the same texts, all ordered pairs of their images."""
    workspace, encoder, found = Workspace(str(path)), MiniLM(), []
    vectors = encoder.encode(TEXTS)
    for shard in range(shards):
        writer = ShardWriter(workspace, "mine_pairs", f"{shard:032x}")
        for page in range(pages):
            name = f"{shard}{page}" + "0" * 30
            images = {f"{shard}{page}{number}" + "a" * 61: number for number in range(len(TEXTS))}
            for query in images:
                for target in images:
                    if query != target:
                        writer.row("pairs", pair_row(name, query, target, images))
            for image, number in images.items():
                sketch = np.random.default_rng(number).integers(-99, 99, 64).astype(np.int8).tobytes()
                writer.row(
                    "eligible",
                    {
                        "page_id": name,
                        "site": "site.example",
                        "image_id": image,
                        "position": number,
                        "url": f"http://site.example/{image}",
                        "text": TEXTS[number],
                        "embedding": vectors[number].astype(np.float16),
                        "sketch": sketch,
                        "phash": "0" * 16,
                    },
                )
        found.append(writer.commit())
    return workspace, found


def pair_row(page, query, target, images):
    return {
        "pair_id": pair_id(page, query, target),
        "page_id": page,
        "query_image_id": query,
        "target_image_id": target,
        "visual_similarity": 0.4,
        "text_similarity": 0.3,
        "mining": "co_occurrence",
        "hard_negatives": [query],
        "page_url": "http://site.example/page",
        "page_title": "Views",
        "query_image_url": f"http://site.example/{query}",
        "target_image_url": f"http://site.example/{target}",
        "query_text": TEXTS[images[query]],
        "target_text": TEXTS[images[target]],
        "site": "site.example",
    }


def config(server, **more):
    settings = {"timeout": 10.0, "attempts": 1, "concurrency": 2} | more
    return WriteConfig(task="magiclens", backend="openai", model="m", base_url=server.url, **settings)


def write(workspace, manifests, settings, buckets=2, **more):
    session = Session(workspace, BeamEngine(()), **more)
    session.force()
    written = run_write(session, manifests, buckets, settings)
    return session, written


def counts(manifests, unit):
    return [manifest.counts.entry(unit) for manifest in manifests]


def triplets(workspace, manifests):
    return [row for one in manifests for row in rows(workspace, one, "triplets")]


def test_equal_requests_meet_and_nothing_is_asked_twice(chat_server, tmp_path):
    server, elsewhere = chat_server(), chat_server()
    workspace, manifests = mined(tmp_path)
    _, written = write(workspace, manifests, config(server))
    # Two shards with the same texts: twelve questions, each asked once.
    assert sorted(server.asked.values()) == [1] * 12
    assert [entry.kept for entry in counts(written, "pair")] == [12, 12]
    rows_before = triplets(workspace, written)
    assert {row["instruction"] for row in rows_before} == {f"show the {text} instead" for text in TEXTS}
    again, second = write(workspace, manifests, config(server))
    assert set(again.worked.values()) <= {0}
    # Another address of the same model, another filter: no model is asked, only the filter works.
    moved, third = write(workspace, manifests, config(elsewhere, concurrency=3))
    assert set(moved.worked.values()) <= {0}
    stricter = config(elsewhere, filters={"min_words": 6})
    filtered, fourth = write(workspace, manifests, stricter)
    assert filtered.worked["write_instructions.answers"] == 0
    assert filtered.worked["write_instructions"] == 2
    assert [entry.kept for entry in counts(fourth, "pair")] == [0, 0]
    assert [dict(entry.rejected) for entry in counts(fourth, "text")] == [{"too_short": 12}] * 2
    assert not elsewhere.asked
    assert [one.digest for one in written] == [one.digest for one in second] == [one.digest for one in third]
    # Another model's parameters are other requests; a forced stage asks again.
    write(workspace, manifests, config(server, temperature=0.5))
    assert sorted(server.asked.values()) == [2] * 12
    write(workspace, manifests, config(server), forced=frozenset({"write_instructions"}))
    assert sorted(server.asked.values()) == [3] * 12


def test_retry_failed_asks_only_what_failed(chat_server, tmp_path):
    acts = {"paper boat": ("status", 500, {}), "stone arch": ("status", 400, {})}

    def plan(question, times):
        return acts.get(question.rsplit(": ", 1)[-1]) or answers(question)

    server = chat_server(plan)
    workspace, manifests = mined(tmp_path, shards=1)
    _, written = write(workspace, manifests, config(server))
    (pairs,) = counts(written, "pair")
    assert (pairs.kept, dict(pairs.failed), dict(pairs.rejected)) == (6, {"http_500": 3}, {"no_answer": 3})
    acts.clear()
    _, written = write(workspace, manifests, config(server))
    assert sum(server.asked.values()) == 12
    _, written = write(workspace, manifests, config(server), retry_failed=True)
    (pairs,) = counts(written, "pair")
    assert (pairs.kept, pairs.failed.total(), dict(pairs.rejected)) == (9, 0, {"no_answer": 3})
    twice = {question for question, times in server.asked.items() if times == 2}
    assert {question.rsplit(": ", 1)[-1] for question in twice} == {"paper boat"}
    assert sum(server.asked.values()) == 15
    generations = [
        row
        for name in workspace.in_force("write_instructions.answers")
        for row in rows(workspace, workspace.manifest("write_instructions.answers", name), "generations")
    ]
    assert len(generations) == 9


def test_large_buckets_are_answered_in_parts(chat_server, tmp_path, monkeypatch):
    server = chat_server()
    workspace, manifests = mined(tmp_path / "parts", shards=1)
    monkeypatch.setattr(write_instructions, "SHARD_REQUESTS", 2)
    session, written = write(workspace, manifests, config(server))
    assert session.worked["write_instructions.answers"] >= 6
    assert sorted(server.asked.values()) == [1] * 12
    monkeypatch.undo()
    # Cut differently, the same answers are found again in the store.
    again, whole = write(workspace, manifests, config(server))
    assert again.worked["write_instructions.answers"] > 0
    assert sorted(server.asked.values()) == [1] * 12
    assert [one.digest for one in whole] == [one.digest for one in written]


def test_what_kills_the_models_process_is_one_failed_request(chat_server, tmp_path):
    def kill_children():
        for task in Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text().split():
                if b"supervised_child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)

    def plan(question, times):
        if "First image: red fox\nSecond image: stone arch" in question:
            kill_children()
            return "hang"
        return answers(question)

    server = chat_server(plan)
    workspace, manifests = mined(tmp_path, shards=1)
    _, written = write(workspace, manifests, config(server, concurrency=1, flush_answers=1), buckets=1)
    (pairs,) = counts(written, "pair")
    assert (pairs.kept, dict(pairs.failed)) == (11, {"crashed_sigkill": 1})
    deadly = [times for question, times in server.asked.items() if "red fox\nSecond image: stone arch" in question]
    # As often as a child may die on one record; the others' answers were in the store by then.
    assert 1 < deadly[0] < 5
    assert sum(server.asked.values()) == 11 + deadly[0]


def test_a_missing_endpoint_is_said_in_a_sentence(tmp_path):
    workspace, manifests = mined(tmp_path, shards=1)
    settings = WriteConfig(task="magiclens", backend="openai", model="m")
    with pytest.raises(ConfigurationError, match="base_url"):
        write(workspace, manifests, settings)


def test_triplets_are_verified_page_by_page(chat_server, tmp_path):
    server = chat_server()
    workspace, manifests = mined(tmp_path, shards=2, pages=2)
    session, written = write(workspace, manifests, config(server))
    verified = run_verify(session, manifests, written, VerifyConfig(), AnnotateConfig())
    found = [row for one in verified for row in rows(workspace, one, "verified")]
    assert len(found) == 48
    assert {row["candidates"] for row in found} == {3}
    assert {(row["verdict"], row["rank_text"]) for row in found} == {("pass", 1)}
    assert all(1 <= row["rank_query"] <= 3 and 1 <= row["rank_both"] <= 3 for row in found)
    again = Session(workspace, BeamEngine(()))
    assert run_verify(again, manifests, written, VerifyConfig(), AnnotateConfig()) == verified
    assert set(again.worked.values()) <= {0}
    # A page that killed the text model is failed, the others are verified.
    page = next(row["page_id"] for row in found)
    work = {"triplets": written[0].key, "mined": manifests[0].key}
    arguments = (workspace.path, "verify_triplets", "k" * 32, "attempt", work, VerifyConfig(), AnnotateConfig())
    marked = []
    shard = verify_in_child(*arguments, mark=marked.append, quarantine={page: "crashed_sigsegv"})
    units = shard.counts["units"]
    assert units["triplet"]["failed"] == {"crashed_sigsegv": 12}
    assert units["triplet"]["kept"] == 12
    assert marked == [row for row in marked if row != page]
    assert pq.read_table(tmp_path / shard.files["verified"][0].path).num_rows == 12
