import logging
import socket
import time
from email.utils import formatdate

import pytest

from schemas.errors import ConfigurationError
from schemas.protocols import InstructionWriter
from synthesis.config import WriteConfig
from synthesis.writers.openai_writer import OpenAIWriter


def writer(server, **more):
    url = server if isinstance(server, str) else server.url
    settings = {"timeout": 0.6, "attempts": 3, "max_wait": 1.0, "concurrency": 4, "model": "some-model"} | more
    return OpenAIWriter(WriteConfig(task="magiclens", backend="openai", base_url=url, **settings))


def requests(*questions):
    return [
        {"request_id": one, "messages": [{"role": "user", "content": one}], "parameters": {"seed": 1}, "image_ids": ()}
        for one in questions
    ]


def test_answers_come_in_the_order_of_the_requests(chat_server):
    server = chat_server(lambda question, times: f"answer to {question}", delay=0.02)
    asked = [f"q{number}" for number in range(20)]
    made = writer(server)
    assert isinstance(made, InstructionWriter)
    found = made.write(requests(*asked))
    assert [one["text"] for one in found] == [f"answer to {one}" for one in asked]
    assert {one["finish_reason"] for one in found} == {"stop"}
    assert 1 < server.most <= 4
    assert server.bodies[0]["model"] == "some-model"
    assert server.bodies[0]["seed"] == 1


@pytest.mark.parametrize("fault", [("status", 500, {}), ("status", 503, {}), "reset", "cut", "garbage", "hang"])
def test_what_passes_is_tried_again(chat_server, fault):
    server = chat_server(lambda question, times: fault if times == 1 else "fine")
    (found,) = writer(server).write(requests("q"))
    assert found["text"] == "fine"
    assert server.asked["q"] == 2


def test_retry_after_is_honoured_in_both_forms(chat_server):
    moments = []

    def plan(question, times):
        moments.append(time.monotonic())
        seconds = {"Retry-After": "1"} if times == 1 else {"Retry-After": formatdate(time.time() + 60, usegmt=True)}
        return ("status", 429, seconds) if times < 3 else "fine"

    server = chat_server(plan)
    (found,) = writer(server, max_wait=2.0).write(requests("q"))
    # A minute is more than max_wait allows: left for another run.
    assert found["error"] == "http_429"
    assert len(moments) == 2
    assert moments[1] - moments[0] >= 0.95


@pytest.mark.parametrize(
    ("fault", "error", "times"),
    [
        (("status", 500, {}), "http_500", 3),
        (("status", 429, {}), "http_429", 3),
        (("status", 400, {}), "http_400", 1),
        (("status", 302, {"Location": "http://127.0.0.1:9/"}), "http_302", 1),
        ("reset", "connection_lost", 3),
        ("garbage", "bad_answer", 3),
        ("hang", "timeout", 3),
    ],
)
def test_what_does_not_pass_is_one_requests_error(chat_server, fault, error, times):
    server = chat_server(lambda question, times: fault if question == "bad" else "fine")
    first, bad, last = writer(server, timeout=0.3).write(requests("first", "bad", "last"))
    assert (first["text"], last["text"]) == ("fine", "fine")
    assert bad["error"].partition(":")[0] == error
    assert bad["text"] is None
    assert server.asked["bad"] == times


@pytest.mark.parametrize("act", ["null", "empty"])
def test_an_empty_answer_is_an_answer(chat_server, act):
    server = chat_server(lambda question, times: act)
    (found,) = writer(server).write(requests("q"))
    assert found["error"] is None
    assert not (found["text"] or "").strip()
    assert server.asked["q"] == 1


def test_the_key_is_sent_and_never_written(chat_server, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("LENSMITH_TEST_KEY", "sk-very-secret")
    server = chat_server(lambda question, times: ("status", 401, {}))
    with pytest.raises(ConfigurationError, match="LENSMITH_TEST_KEY") as caught:
        writer(server, api_key_variable="LENSMITH_TEST_KEY").write(requests("q"))
    assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    captured = capfd.readouterr()
    assert "very-secret" not in caplog.text + captured.out + captured.err + str(caught.value) + repr(server.bodies)


def test_without_a_key_none_is_sent(chat_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_ORG_ID", "some-organisation")
    server = chat_server()
    writer(server).write(requests("q"))
    assert "Authorization" not in server.headers[0]
    assert "some-organisation" not in str(server.headers[0])


def test_an_endpoint_that_refuses_everything_ends_the_run(chat_server):
    server = chat_server(lambda question, times: ("status", 404, {}))
    with pytest.raises(ConfigurationError, match=r"some-model.*404"):
        writer(server).write(requests("q"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        writer(address, attempts=1).write(requests("q"))
    with pytest.raises(ConfigurationError, match="base_url"):
        OpenAIWriter(WriteConfig(backend="openai"))


def test_after_an_answer_a_404_is_one_requests_error(chat_server):
    server = chat_server(lambda question, times: ("status", 404, {}) if question == "bad" else "fine")
    made = writer(server)
    assert made.write(requests("q"))[0]["text"] == "fine"
    assert made.write(requests("bad"))[0]["error"] == "http_404"


def test_an_endless_answer_is_cut(chat_server):
    server = chat_server(lambda question, times: "x" * (5 << 20))
    (found,) = writer(server, timeout=20, attempts=1).write(requests("q"))
    assert found["error"] == "connection_lost: DecodingError"


@pytest.mark.parametrize(
    "address", ["http://user:secret@host/v1", "https://host/v1?key=secret", "ftp://host/v1", "localhost:8000"]
)
def test_addresses_hold_no_secrets(address):
    with pytest.raises((ConfigurationError, ValueError)) as caught:
        WriteConfig(base_url=address)
    if "secret" in address:
        assert "secret" not in str(caught.value)
