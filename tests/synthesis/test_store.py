import os
import subprocess
import sys
import threading
import time

import pytest

from schemas.outcomes import CollectedOutcomes
from schemas.storage import Folder
from synthesis.config import WriteConfig
from synthesis.requests import Request, Variables
from synthesis.store import GenerationStore, answer
from synthesis.tasks import make_task
from synthesis.writers import load_writer


def config(server, **more):
    settings = {"timeout": 5.0, "attempts": 2, "max_wait": 0.5, "concurrency": 4, "flush_answers": 5} | more
    return WriteConfig(task="magiclens", backend="openai", model="m", base_url=server.url, **settings)


def made_requests(count, settings=None):
    task = make_task(settings or WriteConfig(task="magiclens", model="m"))
    found = [task.format_input(Variables("t", "a cat", f"dog {number}")) for number in range(count)]
    assert all(isinstance(one, Request) for one in found)
    return found


def question(request):
    return request.messages[-1]["content"]


def ask(server, folder, requests, quarantine=None, standing=None, **more):
    settings = config(server, **more)
    outcomes, loads = CollectedOutcomes(), []

    def load():
        loads.append(1)
        return load_writer(settings)

    store = GenerationStore(Folder(str(folder)), "parts")
    answer(requests, load, store, settings, outcomes, lambda key: None, quarantine or {}, standing)
    entry = outcomes.counts.entry("request")
    assert entry.balanced
    assert entry.entered == len({one.request_id for one in requests})
    return outcomes, entry, len(loads)


def test_answers_are_stored_and_never_asked_again(chat_server, tmp_path):
    server = chat_server(lambda question, times: f"about {question[-6:]}")
    requests = made_requests(12)
    outcomes, entry, loads = ask(server, tmp_path, [*requests, *requests[:3]], concurrency=1)
    assert (entry.kept, loads) == (12, 1)
    assert set(server.asked.values()) == {1}
    rows = outcomes.rows("generations")
    assert [row["request_id"] for row in rows] == sorted(one.request_id for one in requests)
    by_id = {row["request_id"]: row for row in rows}
    first = by_id[requests[0].request_id]
    assert first["text"] == f"about {question(requests[0])[-6:]}"
    assert (first["prompt"], first["model"]) == ("magiclens@2", "m (as served)")
    assert len(os.listdir(tmp_path / "parts")) == 3
    again, entry, loads = ask(server, tmp_path, requests)
    assert (entry.kept, loads) == (12, 0)
    assert again.rows("generations") == rows
    assert sum(server.asked.values()) == 12


def test_another_address_asks_nothing_again_and_is_nowhere_in_the_rows(chat_server, tmp_path):
    first, second = chat_server(), chat_server()
    outcomes, _, _ = ask(first, tmp_path, made_requests(3))
    again, _, loads = ask(second, tmp_path, made_requests(3))
    assert loads == 0
    assert again.rows("generations") == outcomes.rows("generations")
    assert "127.0.0.1" not in str(outcomes.rows("generations"))


def test_every_request_ends_once_whatever_the_server_does(chat_server, tmp_path):
    acts = {
        1: ("status", 429, {"Retry-After": "0"}),
        2: ("status", 500, {}),
        3: "reset",
        4: "cut",
        5: "garbage",
        6: "null",
        7: "empty",
        8: ("status", 400, {}),
        9: ("status", 422, {}),
    }
    server = chat_server(lambda question, times: acts.get(int(question.split()[-1]), "fine"))
    requests = made_requests(12)
    outcomes, entry, _ = ask(server, tmp_path, requests)
    assert entry.kept == 3
    assert entry.rejected == {"empty_answer": 2, "http_400": 1, "http_422": 1}
    assert entry.failed == {"http_429": 1, "http_500": 1, "connection_lost": 2, "bad_answer": 1}
    assert len(outcomes.rows("rejected")) == 9
    before = dict(server.asked)
    acts.clear()
    _, entry, _ = ask(server, tmp_path, requests)
    # Refusals and empty answers stand; what failed is asked again, and nothing else.
    assert (entry.kept, entry.failed.total(), entry.rejected.total()) == (8, 0, 4)
    asked_again = {question for question in server.asked if server.asked[question] > before[question]}
    assert asked_again == {question(requests[number]) for number in (1, 2, 3, 4, 5)}


def test_what_killed_the_model_is_failed_and_not_asked(chat_server, tmp_path):
    server = chat_server()
    requests = made_requests(4)
    outcomes, entry, _ = ask(server, tmp_path, requests, {requests[2].request_id: "crashed_sigsegv"})
    assert (entry.kept, dict(entry.failed)) == (3, {"crashed_sigsegv": 1})
    assert question(requests[2]) not in server.asked
    (row,) = outcomes.rows("rejected")
    assert (row["id"], row["reason"]) == (requests[2].request_id, "error:crashed_sigsegv")


def test_two_at_once_leave_one_answer_and_a_settled_one_stands(chat_server, tmp_path):
    server = chat_server(lambda question, times: f"answer {times}", delay=0.01)
    requests = made_requests(10)
    threads = [threading.Thread(target=ask, args=(server, tmp_path, requests)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    first, _, _ = ask(server, tmp_path, requests)
    second, _, loads = ask(server, tmp_path, requests)
    assert loads == 0
    assert first.rows("generations") == second.rows("generations")
    name = requests[0].request_id
    settled = {name: first.rows("generations")[0] | {"request_id": name, "text": "settled"}}
    third, _, _ = ask(server, tmp_path, requests, standing=settled)
    assert {row["text"] for row in third.rows("generations") if row["request_id"] == name} == {"settled"}


def test_the_endpoint_is_kept_busy(chat_server, tmp_path):
    together = threading.Barrier(8)

    def plan(question, times):
        # The server answers nobody before eight are there, three times.
        together.wait(timeout=60)
        return "fine"

    server = chat_server(plan)
    _, entry, _ = ask(server, tmp_path, made_requests(24), concurrency=8, timeout=90.0)
    assert entry.kept == 24
    assert server.most == 8


def test_answers_are_flushed_while_slow_ones_are_out(chat_server, tmp_path):
    slow = threading.Event()
    server = chat_server(lambda question, times: "fine" if not question.endswith(" 0") else slow.wait(10) and "late")
    more = {"flush_seconds": 0.2, "flush_answers": 1000, "timeout": 20.0}
    worker = threading.Thread(target=ask, args=(server, tmp_path, made_requests(6)), kwargs=more)
    worker.start()
    deadline = time.monotonic() + 10
    store = GenerationStore(Folder(str(tmp_path)), "parts")
    wanted = [one.request_id for one in made_requests(6)]
    while len(store.read(wanted)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(store.read(wanted)) == 5
    slow.set()
    worker.join()
    assert len(store.read(wanted)) == 6


def test_an_error_that_ends_the_run_keeps_what_was_answered(chat_server, tmp_path):
    server = chat_server()
    requests = made_requests(6)

    class Breaks:
        name, revision = "m", "r"

        def write(self, asked):
            if asked[0]["request_id"] == sorted(one.request_id for one in requests)[4]:
                raise RuntimeError("lost")
            return [{"text": "fine", "error": None, "finish_reason": "stop"}]

    store = GenerationStore(Folder(str(tmp_path)), "parts")
    settings = WriteConfig(task="magiclens", flush_answers=100)
    with pytest.raises(RuntimeError, match="lost"):
        answer(requests, Breaks, store, settings, CollectedOutcomes(), lambda key: None, {})
    assert len(store.read(one.request_id for one in requests)) == 4
    assert not server.asked


ASKING = """
import sys
from schemas.outcomes import CollectedOutcomes
from schemas.storage import Folder
from synthesis.config import WriteConfig
from synthesis.requests import Variables
from synthesis.store import GenerationStore, answer
from synthesis.tasks import make_task
from synthesis.writers import load_writer

common = {"task": "magiclens", "model": "m"}
task = make_task(WriteConfig(**common))
requests = [task.format_input(Variables("t", "a cat", f"dog {number}")) for number in range(60)]
more = {"backend": "openai", "base_url": sys.argv[1], "concurrency": 4, "flush_answers": 5}
settings = WriteConfig(**common, **more)
store = GenerationStore(Folder(sys.argv[2]), "parts")
answer(requests, lambda: load_writer(settings), store, settings, CollectedOutcomes(), lambda key: None, {})
"""


def test_a_kill_costs_no_more_than_the_unflushed_window(chat_server, tmp_path):
    server = chat_server(delay=0.02)
    command = [sys.executable, "-c", ASKING, server.url, str(tmp_path)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    while sum(server.asked.values()) < 30 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait() < 0
    before = sum(server.asked.values())
    assert 30 <= before < 60
    requests = made_requests(60)
    stored = GenerationStore(Folder(str(tmp_path)), "parts").read(one.request_id for one in requests)
    # Unflushed: fewer than a part, those in flight, and what came during a flush.
    assert len(stored) >= before - 5 - 2 * 4
    _, entry, _ = ask(server, tmp_path, requests)
    assert entry.kept == 60
    assert sum(server.asked.values()) == before + 60 - len(stored)


def test_reading_a_few_answers_opens_few_parts(chat_server, tmp_path):
    requests = sorted(made_requests(40), key=lambda one: one.request_id)
    ask(chat_server(), tmp_path, requests, concurrency=1)
    folder = Folder(str(tmp_path))
    opened = []

    class Counting(Folder):
        def read(self, name):
            opened.append(name)
            return super().read(name)

    found = GenerationStore(Counting(folder.path), "parts").read([requests[0].request_id])
    assert list(found) == [requests[0].request_id]
    assert (len(opened), len(folder.list("parts"))) == (1, 8)


def test_halves_of_surrogate_pairs_do_not_reach_the_table(chat_server, tmp_path):
    outcomes, entry, _ = ask(chat_server(lambda question, times: "half \ud83d of"), tmp_path, made_requests(1))
    assert entry.kept == 1
    assert outcomes.rows("generations")[0]["text"] == "half  of"
