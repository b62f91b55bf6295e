import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.outcomes import CollectedOutcomes
from schemas.storage import Folder
from synthesis.asking import Asking, answer
from synthesis.config import WriteConfig, WriterConfig
from synthesis.costs import Budget, Price
from synthesis.requests import again, make_requests
from synthesis.store import GenerationStore, answer_ids, read_answers_of, store_files
from synthesis.tasks import make_task


def made_requests(count, **more):
    config = WriteConfig(model="m", **more).of("instruction_magiclens")
    task = make_task("instruction_magiclens", config)
    rows = ({"page_title": "t", "query_text": "a cat", "target_text": f"dog {number}"} for number in range(count))
    return [request for row in rows for request in make_requests(task.steps[0].format_input(row), config)]


def number_of(request):
    return int(request["messages"][-1]["content"].split("dog ")[1].split('"')[0])


def ask(folder, requests, writer, outcomes=None, known=None, **more):
    """Answer requests with a store in a folder; the funnel's sum of the unit must hold."""
    config = WriterConfig(**{"flush_answers": 5} | more.pop("config", {}))
    outcomes = outcomes or CollectedOutcomes()
    store = GenerationStore(Folder(str(folder)), "parts")
    usage = answer(requests, Asking(store, config, lambda: writer, **more), outcomes, known)
    entry = outcomes.counts.entry("request")
    assert entry.balanced
    return outcomes, entry, usage


def test_answers_are_stored_and_never_asked_again(tmp_path, scripted_writer):
    writer = scripted_writer(lambda request: f"about {number_of(request)}")
    requests = made_requests(12)
    outcomes, entry, usage = ask(tmp_path, [*requests, *requests[:3]], writer)
    assert (entry.kept, len(writer.asked)) == (12, 12)
    rows = outcomes.rows("generations")
    assert [row["request_id"] for row in rows] == sorted(one.request_id for one in requests)
    first = next(row for row in rows if row["request_id"] == requests[0].request_id)
    assert (first["text"], first["prompt"], first["model"]) == ("about 0", "instruction_magiclens@1", "m (r)")
    assert (first["prompt_tokens"], first["completion_tokens"]) == (100, 10)
    assert len(os.listdir(tmp_path / "parts")) == 3
    again_outcomes, entry, usage = ask(tmp_path, requests, writer)
    assert (entry.kept, len(writer.asked)) == (12, 12)
    assert again_outcomes.rows("generations") == rows
    ((key, counted),) = usage.tokens.items()
    assert key == ("instruction_magiclens@1", "m (r)")
    assert dict(counted) == {"requests": 12, "prompt_tokens": 1200, "completion_tokens": 120}


def test_every_request_ends_once_whatever_is_answered(tmp_path, scripted_writer):
    acts = {
        1: {"error": "http_429", "tries": 5},
        2: {"error": "timeout", "tries": 2},
        3: {"error": "connection_lost: ReadError", "tries": 2},
        4: {"text": None},
        5: {"text": " "},
        6: {"error": "http_400"},
        7: {"error": "http_422"},
        # A server that has another model now: none of the request's fault, and never to be stored.
        8: {"error": "http_404", "tries": 1},
    }
    writer = scripted_writer(lambda request: acts.get(number_of(request), "fine"))
    requests = made_requests(10)
    outcomes, entry, _ = ask(tmp_path, requests, writer)
    assert entry.kept == 2
    assert entry.rejected == {"empty_answer": 2, "http_400": 1, "http_422": 1}
    assert entry.failed == {"http_429": 1, "timeout": 1, "connection_lost": 1, "http_404": 1}
    letters = {row["reason"]: row["detail"] for row in outcomes.rows("rejected")}
    # A dead letter says its last error and how many times it was tried.
    assert letters["error:http_429"] == "http_429, 5 tries"
    assert letters["error:connection_lost"] == "connection_lost: ReadError, 2 tries"
    acts.clear()
    before = len(writer.asked)
    _, entry, _ = ask(tmp_path, requests, writer)
    # Refusals and empty answers stand; what failed is asked again, and nothing else.
    assert (entry.kept, entry.failed.total(), entry.rejected.total()) == (6, 0, 4)
    assert sorted(number_of(one) for one in writer.asked[before:]) == [1, 2, 3, 8]


def test_what_cannot_be_read_is_asked_for_once_more_and_never_a_third_time(tmp_path, scripted_writer):
    def plan(request):
        return "good" if len(request["messages"]) > 12 and number_of_first(request) < 3 else "bad"

    def number_of_first(request):
        return int(request["messages"][11]["content"].split("dog ")[1].split('"')[0])

    writer = scripted_writer(plan)
    requests = made_requests(5)

    def follow_up(request, text):
        return again(request, text) if text == "bad" and request.follows is None else None

    outcomes, entry, usage = ask(tmp_path, requests, writer, follow_up=follow_up)
    assert (entry.entered, entry.kept, usage.sent["requests"]) == (10, 10, 10)
    rows = {row["request_id"]: row for row in outcomes.rows("generations")}
    followers = [row for row in rows.values() if row["follows"]]
    assert sorted(row["text"] for row in followers) == ["bad", "bad", "good", "good", "good"]
    assert all(row["follows"] in rows for row in followers)
    second, entry, _ = ask(tmp_path, requests, writer, follow_up=follow_up)
    assert len(writer.asked) == 10
    assert second.rows("generations") == outcomes.rows("generations")


def test_what_killed_the_model_is_failed_and_not_asked(tmp_path, scripted_writer):
    writer, requests, marks = scripted_writer(), made_requests(4), []
    name = requests[2].request_id
    outcomes, entry, _ = ask(tmp_path, requests, writer, quarantine={name: "crashed_sigsegv"}, mark=marks.append)
    assert (entry.kept, dict(entry.failed)) == (3, {"crashed_sigsegv": 1})
    assert marks == [one.request_id for one in requests if one.request_id != name]
    (row,) = outcomes.rows("rejected")
    assert (row["id"], row["reason"]) == (name, "error:crashed_sigsegv")


def test_answers_of_other_stores_go_first_and_cost_nothing(tmp_path, scripted_writer):
    requests = made_requests(3)
    elsewhere, _, _ = ask(tmp_path / "a", requests, scripted_writer(lambda request: "from elsewhere"))
    known = {row["request_id"]: row for row in elsewhere.rows("generations")[:2]}
    writer = scripted_writer(lambda request: "new")
    outcomes, entry, usage = ask(tmp_path / "b", requests, writer, known=known, budget=Budget(requests=1))
    assert sorted(row["text"] for row in outcomes.rows("generations")) == ["from elsewhere", "from elsewhere", "new"]
    assert (entry.kept, len(writer.asked), usage.sent["requests"]) == (3, 1, 1)


def test_a_budget_stops_cleanly_and_goes_on(tmp_path, scripted_writer):
    writer, requests = scripted_writer(), made_requests(10)
    outcomes, entry, _ = ask(tmp_path, requests, writer, budget=Budget(requests=4))
    assert (entry.kept, entry.deferred, len(writer.asked)) == (4, 6, 4)
    assert {row["reason"] for row in outcomes.rows("deferred")} == {"max_requests"}
    # What was sent counts: the same budget sends no more, a raised one the rest.
    _, entry, _ = ask(tmp_path, requests, writer, budget=Budget(requests=4))
    assert (entry.kept, entry.deferred, len(writer.asked)) == (4, 6, 4)
    _, entry, usage = ask(tmp_path, requests, writer, budget=Budget(requests=10))
    assert (entry.kept, entry.deferred, len(writer.asked), usage.sent["requests"]) == (10, 0, 10, 10)


def test_a_budget_of_money_counts_what_was_paid(tmp_path, scripted_writer):
    price = Price(output=1_000_000.0)  # an answer of ten tokens costs 10
    writer, requests = scripted_writer(), made_requests(10, max_tokens=20)
    # The most that one may cost is 20: with 45 there is room for 20, then for 35, 25; then 15 are too few.
    _, entry, _ = ask(tmp_path, requests, writer, budget=Budget(cost=45.0, price=price))
    assert (entry.kept, entry.deferred) == (3, 7)
    _, entry, _ = ask(tmp_path, requests, writer, budget=Budget(cost=45.0, price=price))
    assert (entry.kept, entry.deferred, len(writer.asked)) == (3, 7, 3)


def test_requests_wait_for_a_batch(tmp_path):
    outcomes = CollectedOutcomes()
    store = GenerationStore(Folder(str(tmp_path)), "parts")
    requests = made_requests(3)
    answer(requests, Asking(store, WriterConfig(), None), outcomes)
    assert outcomes.counts.entry("request").deferred == 3
    waiting = outcomes.rows("batch_requests")
    assert {row["request_id"] for row in waiting} == {one.request_id for one in requests}
    assert json.loads(waiting[0]["messages"])[0]["role"] == "system"


def test_images_go_with_their_requests_and_a_bad_one_spoils_only_its_own(tmp_path, scripted_writer):
    config = WriteConfig(model="m", image_side=64).of("caption")
    task = make_task("caption", config)
    rows = [{"page_title": "t", "text": "x", "label": None, "image_id": name} for name in ("good", "broken", "fine")]
    requests = [one for row in rows for one in make_requests(task.steps[0].format_input(row), config)]

    def images(ids, side):
        if "broken" in ids:
            raise ValueError("broken cannot be decoded")
        return [f"{name}@{side}".encode() for name in ids]

    writer = scripted_writer(lambda request: "a cat")
    outcomes, entry, _ = ask(tmp_path, requests, writer, images=images)
    assert [request["images"] for request in writer.asked] == [[b"good@64"], [b"fine@64"]]
    assert (entry.kept, dict(entry.rejected)) == (2, {"image_unreadable": 1})
    assert {tuple(row["image_ids"]) for row in outcomes.rows("generations")} == {("good",), ("fine",)}


def test_an_error_that_ends_the_run_keeps_what_was_answered(tmp_path, scripted_writer):
    requests = made_requests(6)

    def plan(request):
        if number_of(request) == 4:
            raise RuntimeError("lost")
        return "fine"

    with pytest.raises(RuntimeError, match="lost"):
        ask(tmp_path, requests, scripted_writer(plan), config={"flush_answers": 100})
    store = GenerationStore(Folder(str(tmp_path)), "parts")
    assert len(store.read(one.request_id for one in requests)) == 4


def test_halves_of_surrogate_pairs_do_not_reach_the_table(tmp_path, scripted_writer):
    outcomes, _, _ = ask(tmp_path, made_requests(1), scripted_writer(lambda request: "half \ud83d of"))
    assert outcomes.rows("generations")[0]["text"] == "half  of"


def test_reading_a_few_answers_opens_few_parts(tmp_path, scripted_writer, monkeypatch):
    requests = sorted(made_requests(40), key=lambda one: one.request_id)
    ask(tmp_path, requests, scripted_writer())
    opened = []
    whole = Folder.open
    monkeypatch.setattr(Folder, "open", lambda self, name, mode="rb": opened.append(name) or whole(self, name, mode))
    found = GenerationStore(Folder(str(tmp_path)), "parts").read([requests[0].request_id])
    assert list(found) == [requests[0].request_id]
    assert (len(opened), len(os.listdir(tmp_path / "parts"))) == (1, 8)


def test_a_store_may_be_a_folder_of_parts_or_an_output_folder(tmp_path, scripted_writer):
    requests = made_requests(3)
    output = tmp_path / "out" / "_work" / "generation_parts" / "write_instructions.caption"
    ask(output, requests, scripted_writer())
    ask(tmp_path / "parts", requests, scripted_writer())
    ids = {one.request_id for one in requests}
    for path in (str(tmp_path / "out"), str(tmp_path / "parts")):
        files = store_files(path)
        assert {name for folder, one in files for name, _ in answer_ids(Folder(folder), one)} == ids
    assert store_files(str(tmp_path / "nowhere")) == []


def test_a_table_that_a_kill_left_half_written_holds_nothing(tmp_path, scripted_writer):
    (request,) = made_requests(1)
    ask(tmp_path, [request], scripted_writer())
    folder, ids = Folder(str(tmp_path)), frozenset([request.request_id])
    (part,) = os.listdir(tmp_path / "parts")
    whole = (tmp_path / "parts" / part).read_bytes()
    for size in (0, 4, 11, len(whole) // 2, len(whole) - 1):
        (tmp_path / "half.parquet").write_bytes(whole[:size])
        assert list(answer_ids(folder, "half.parquet")) == list(read_answers_of(folder, "half.parquet", ids)) == []
    (tmp_path / "half.parquet").write_bytes(whole)
    assert list(answer_ids(folder, "half.parquet")) == [(request.request_id, False)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["fine", "http_503", "http_404", "timeout", " "]), min_size=1, max_size=12),
    st.integers(0, 12),
)
def test_the_sum_holds_for_any_answers_and_budget(tmp_path_factory, scripted_writer, acts, budget):
    requests = made_requests(len(acts))

    def plan(request):
        act = acts[number_of(request)]
        return act if act in ("fine", " ") else {"error": act}

    folder = tmp_path_factory.mktemp("store")
    _, entry, _ = ask(folder, requests, scripted_writer(plan), budget=Budget(requests=budget))
    assert entry.entered == len(acts)
    assert entry.deferred == max(0, len(acts) - budget)
