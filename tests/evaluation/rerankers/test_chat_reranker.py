"""Reranking through a chat endpoint that listens on loopback, and everything that can go wrong with it."""

from __future__ import annotations

import base64
import io
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from evaluation.rerankers import (
    ChatReranker,
    ChatRerankerConfig,
    Reranked,
    RerankQuery,
    apply_order,
    count_outcomes,
)
from evaluation.rerankers.chat_messages import data_uri
from schemas.errors import ConfigurationError


def picture(level, kind="PNG"):
    sink = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(sink, kind)
    return sink.getvalue()


@dataclass
class Answer:
    status: int = 200
    body: str = ""
    kind: str = "application/json"
    wait: bool = False


def says(text):
    return Answer(
        body=json.dumps({"id": "1", "object": "chat.completion", "choices": [{"message": {"content": text}}]})
    )


@dataclass
class Endpoint:
    """`answer` gets the body of a request and the number of requests before it."""

    answer: Callable[[dict, int], Answer]
    requests: list[dict] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        """Silence."""

    def do_POST(self):
        endpoint = self.server.endpoint
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with endpoint.lock:
            number = len(endpoint.requests)
            endpoint.requests.append({"path": self.path, "body": body})
        answer = endpoint.answer(body, number)
        if answer.wait:
            endpoint.ended.wait(30)
            self.close_connection = True
            return
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After-Ms", "1")
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def serve(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    started = []

    def start(answer, **settings_of):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.endpoint = Endpoint(answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        reranker = ChatReranker(ChatRerankerConfig(url, "seer", **{"timeout": 20.0, **settings_of}))
        started.append((server, reranker))
        return server.endpoint, reranker

    yield start
    for server, reranker in started:
        server.endpoint.ended.set()
        reranker.__exit__(None, None, None)
        server.shutdown()
        server.server_close()


QUERY = RerankQuery("make it brighter", [picture(level) for level in (10, 40, 30, 20)], picture(0))


def by_brightness(body, number):
    """Looks at the pictures that it was sent and orders the candidates by their red level."""
    levels = []
    parts = body["messages"][1]["content"]
    for before, part in itertools.pairwise(parts):
        if part["type"] == "image_url" and before["text"].startswith("Candidate"):
            data = base64.b64decode(part["image_url"]["url"].split(",")[1])
            levels.append(Image.open(io.BytesIO(data)).getpixel((0, 0))[0])
    return says(f"Best first: {sorted(range(len(levels)), key=lambda i: -levels[i])}")


def test_the_candidates_come_back_in_the_model_s_order(serve):
    endpoint, reranker = serve(by_brightness)
    result = reranker.rerank(QUERY)
    assert result.order.tolist() == [1, 2, 3, 0]
    assert result.order.dtype == np.int64
    assert result.failure is None
    (request,) = endpoint.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["body"]["model"] == "seer"
    assert request["body"]["temperature"] == 0.0
    parts = request["body"]["messages"][1]["content"]
    assert [part["text"] for part in parts if part["type"] == "text"] == [
        "Reference picture:",
        "Text of the search: make it brighter",
        "Candidate 0:",
        "Candidate 1:",
        "Candidate 2:",
        "Candidate 3:",
    ]
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert pictures == [data_uri(one) for one in (QUERY.image, *QUERY.candidates)]
    assert apply_order([7, 3, 5, 9, 1], result).tolist() == [3, 5, 9, 7, 1]


def test_only_the_top_is_sent_and_a_query_may_have_no_picture(serve):
    endpoint, reranker = serve(by_brightness, top=3)
    result = reranker.rerank(RerankQuery("bright", QUERY.candidates))
    assert result.order.tolist() == [1, 2, 0, 3]
    parts = endpoint.requests[0]["body"]["messages"][1]["content"]
    assert sum(part["type"] == "image_url" for part in parts) == 3
    assert reranker.rerank(RerankQuery("one", QUERY.candidates[:1])).order.tolist() == [0]
    assert reranker.rerank(RerankQuery("none", [])).order.tolist() == []
    assert len(endpoint.requests) == 1, "one candidate or none needs no answer"


def test_a_busy_server_is_asked_again(serve):
    endpoint, reranker = serve(
        lambda body, number: Answer(503, '{"error": "busy"}') if number < 2 else by_brightness(body, number), attempts=3
    )
    assert reranker.rerank(QUERY).order.tolist() == [1, 2, 3, 0]
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(("status", "requests"), [(503, 2), (429, 2), (400, 1), (401, 1), (404, 1)])
def test_a_refusal_keeps_the_order_and_names_its_status(serve, status, requests):
    endpoint, reranker = serve(lambda body, number: Answer(status, '{"error": {"message": "no"}}'), attempts=2)
    result = reranker.rerank(QUERY)
    assert (result.order.tolist(), result.failure) == ([0, 1, 2, 3], f"http_{status}")
    assert len(endpoint.requests) == requests, "only what passes is tried again"


@pytest.mark.parametrize(
    "answer",
    [
        says("I cannot tell."),
        says("[0, 0, 1]"),
        says("[4]"),
        says("[-1, 0]"),
        says("[]"),
        says("[1.5, 0]"),
        says('["2", "1"]'),
        says("[true, false]"),
        says(None),
        says([{"type": "text", "text": "[1]"}]),
        Answer(body='{"choices": []}'),
        Answer(body='{"choices": [null]}'),
        Answer(body="{}"),
        Answer(body="[]"),
        Answer(body="[" * 100_000),
        Answer(body="not json"),
        Answer(body="<html>proxy</html>", kind="text/html"),
        Answer(body=""),
    ],
    ids=lambda answer: answer.body[:60] or "nothing",
)
def test_a_malformed_answer_keeps_the_order_and_says_so(serve, answer):
    endpoint, reranker = serve(lambda body, number: answer, attempts=2)
    result = reranker.rerank(QUERY)
    assert (result.order.tolist(), result.failure) == ([0, 1, 2, 3], "unreadable_answer")
    assert len(endpoint.requests) == 1


def test_a_silent_server_is_a_time_out(serve):
    endpoint, reranker = serve(lambda body, number: Answer(wait=True), timeout=0.2, attempts=2)
    result = reranker.rerank(QUERY)
    assert (result.order.tolist(), result.failure) == ([0, 1, 2, 3], "timeout")
    assert len(endpoint.requests) == 2


def test_nobody_there_is_a_lost_connection(serve):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with ChatReranker(ChatRerankerConfig(url, "seer", attempts=1, timeout=5)) as reranker:
            result = reranker.rerank(QUERY)
    assert (result.order.tolist(), result.failure) == ([0, 1, 2, 3], "connection")


def test_a_picture_that_is_none_is_not_sent(serve):
    endpoint, reranker = serve(by_brightness)
    result = reranker.rerank(RerankQuery("x", [picture(1), b"<svg/>"]))
    assert (result.order.tolist(), result.failure) == ([0, 1], "unknown_image_format")
    assert endpoint.requests == []


def test_many_queries_keep_their_order_and_every_failure_is_counted(serve):
    def answer(body, number):
        text = body["messages"][1]["content"][0]["text"]
        if "lost" in text:
            return Answer(500, "{}")
        return says("no") if "odd" in text else by_brightness(body, number)

    _, reranker = serve(answer, attempts=1, concurrency=3)
    texts = ["a", "odd", "b", "lost", "odd", "c"]
    results = reranker.rerank_all([RerankQuery(text, QUERY.candidates) for text in texts])
    expected = [None, "unreadable_answer", None, "http_500", "unreadable_answer", None]
    assert [one.failure for one in results] == expected
    for one in results:
        assert one.order.tolist() == ([0, 1, 2, 3] if one.failure else [1, 2, 3, 0])
    assert count_outcomes(results) == {"reranked": 3, "unreadable_answer": 2, "http_500": 1}


def test_settings_that_cannot_work_are_refused():
    for wrong in ({"top": 0}, {"attempts": 0}, {"timeout": 0.0}, {"concurrency": 0}):
        with pytest.raises(ConfigurationError, match="raise them"):
            ChatReranker(ChatRerankerConfig("http://127.0.0.1:1/v1", "seer", **wrong))
    with pytest.raises(ConfigurationError, match="set base_url"):
        ChatReranker(ChatRerankerConfig("", "seer"))
    with pytest.raises(ValueError, match="4 indices at least"):
        apply_order([1, 2], Reranked(np.arange(4)))


def test_without_the_package_the_mend_is_said():
    code = (
        "import sys; sys.modules['openai'] = None\n"
        "from evaluation.rerankers import ChatReranker, ChatRerankerConfig\n"
        "from schemas.errors import MissingPackageError\n"
        "try:\n    ChatReranker(ChatRerankerConfig('http://127.0.0.1:1/v1', 'seer'))\n"
        "except MissingPackageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lensmith[server]" in done.stdout
