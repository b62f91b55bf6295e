import json
import logging
import socket
import ssl
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.errors import ConfigurationError
from schemas.protocols import InstructionWriter
from synthesis.config import WriterConfig
from synthesis.writers.openai_body import body_of
from synthesis.writers.openai_writer import OpenAIWriter

JPEG, PNG = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


@pytest.fixture
def writer():
    """Writers of servers or addresses, ended with the test."""
    made = []

    def make(*servers, more=None, **settings):
        urls = tuple(one if isinstance(one, str) else one.url for one in servers)
        settings = {"timeout": 0.6, "attempts": 3, "max_wait": 1.0, "concurrency": 4, "model": "some-model"} | settings
        made.append(OpenAIWriter(WriterConfig(backend="openai", base_url=urls, **settings), **(more or {})))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def body_server():
    """Servers that answer by `act(body, headers)`: a text, or status, headers and body."""
    opened = []

    def make(act, context=None):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                found = act(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), self.headers)
                if isinstance(found, str):
                    found = 200, {}, completion(found)
                status, headers, data = found
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass

        opened.append(Server(("127.0.0.1", 0), Handler))
        if context is not None:
            opened[-1].socket = context.wrap_socket(opened[-1].socket, server_side=True)
        threading.Thread(target=opened[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{opened[-1].server_port}/v1"

    yield make
    for one in opened:
        one.shutdown()
        one.server_close()


def completion(text, **more):
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], **more}).encode()


def request(question, images=(), **parameters):
    parts = [{"type": "image", "image": index} for index in range(len(images))]
    content = [*parts, {"type": "text", "text": question}] if images else question
    return {
        "request_id": question,
        "prompt": "some prompt",
        "messages": [{"role": "user", "content": content}],
        "parameters": {"seed": 1, **parameters},
        "image_ids": tuple(str(index) for index in range(len(images))),
        "images": list(images),
    }


def answers(made, requests):
    """Answers by request, each of which came once."""
    came = [pair for pair in made.stream(requests) if pair is not None]
    found = {asked["request_id"]: answer for asked, answer in came}
    assert len(found) == len(came)
    return found


def one(made, question="q", **more):
    return answers(made, [request(question, **more)])[question]


def test_every_request_is_answered_once_and_few_fly_at_a_time(chat_server, writer):
    server = chat_server(lambda question, times: f"answer to {question}", delay=0.02)
    made = writer(server)
    assert isinstance(made, InstructionWriter)
    found = answers(made, (request(f"q{number}") for number in range(40)))
    assert {name: answer["text"] for name, answer in found.items()} == {
        f"q{number}": f"answer to q{number}" for number in range(40)
    }
    assert found["q0"] == {
        "text": "answer to q0",
        "error": None,
        "finish_reason": "stop",
        "prompt_tokens": None,
        "completion_tokens": None,
        "tries": 1,
    }
    assert server.most == 4
    first = next(body for body in server.bodies if body["messages"][0]["content"] == "q0")
    assert first == {"model": "some-model", "messages": request("q0")["messages"], "seed": 1}


def test_a_slow_answer_holds_no_other(body_server, writer):
    def act(body, headers):
        if body["messages"][0]["content"] == "slow":
            time.sleep(0.4)
        return "fine"

    order = [
        pair[0]["request_id"] for pair in writer(body_server(act)).stream(map(request, ["slow", *"abcdefgh"])) if pair
    ]
    assert order[-1] == "slow"


def test_requests_are_drawn_as_there_is_room(chat_server, writer):
    drawn = []

    def requests():
        for number in range(200):
            drawn.append(number)
            yield request(f"q{number}")

    yielded = 0
    for pair in writer(chat_server(), concurrency=8).stream(requests()):
        yielded += pair is not None
        assert len(drawn) - yielded <= 8 + 4
    assert yielded == 200


@pytest.mark.parametrize(("share", "number", "limit"), [(0.5, None, 4), (0.01, None, 1), (1.0, 3, 3), (1 / 3, None, 2)])
def test_a_lane_has_its_share_of_the_limit(chat_server, writer, share, number, limit):
    server = chat_server(delay=0.03)
    made = writer(server, concurrency=8, more={"share": share, "concurrency": number})
    answers(made, map(request, map(str, range(4 * limit))))
    assert server.most == limit


def test_streams_of_one_writer_share_its_limit(chat_server, writer):
    server = chat_server(delay=0.03)
    made = writer(server)
    threads = [
        threading.Thread(target=answers, args=(made, [request(f"{name}{number}") for number in range(12)]))
        for name in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(server.asked.values()) == 36
    assert server.most == 4


def test_it_says_that_nothing_came(chat_server, writer):
    server = chat_server(delay=0.3)
    began = time.monotonic()
    came = list(writer(server, timeout=20, flush_seconds=0.05).stream([request("q")]))
    assert came[-1][1]["text"]
    assert 2 <= came.count(None) <= (time.monotonic() - began) / 0.05


@pytest.mark.timeout(60)
def test_a_stream_that_is_closed_leaves_nothing_in_flight(body_server, writer):
    asked, ended = [], threading.Event()

    def act(body, headers):
        asked.append(body["messages"][0]["content"])
        if asked[-1] != "quick":
            ended.wait(120)
        return "fine"

    made = writer(body_server(act), timeout=100)
    stream = made.stream(map(request, ["quick", *map(str, range(100))]))
    assert next(pair for pair in stream if pair)[0]["request_id"] == "quick"
    stream.close()
    # All places are free again, although the server holds on to what it was asked.
    assert one(made, "quick")["text"] == "fine"
    assert len(asked) <= 1 + 4 + 1
    ended.set()


def test_what_the_iterator_raises_comes_through(chat_server, writer):
    def requests():
        yield request("q")
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        answers(writer(chat_server()), requests())


@pytest.mark.parametrize("fault", [("status", 500, {}), ("status", 503, {}), "reset", "cut", "garbage", "hang"])
def test_what_passes_is_tried_again(chat_server, writer, fault):
    server = chat_server(lambda question, times: fault if times == 1 else "fine")
    found = one(writer(server))
    assert (found["text"], found["tries"]) == ("fine", 2)
    assert server.asked["q"] == 2


@pytest.mark.parametrize("form", ["number", "date"])
def test_retry_after_is_respected_in_both_forms(chat_server, writer, form):
    moments = []

    def plan(question, times):
        moments.append(time.time())
        if times > 1:
            return "fine"
        # A date has whole seconds: the next but one is more than one away.
        moments.append(time.time() + 1 if form == "number" else int(time.time()) + 2)
        return ("status", 429, {"Retry-After": "1" if form == "number" else formatdate(moments[-1], usegmt=True)})

    server = chat_server(plan)
    found = one(writer(server, max_wait=3.0))
    assert (found["text"], found["tries"]) == ("fine", 2)
    assert moments[2] >= moments[1] - 0.02


def test_an_endpoint_that_wants_a_long_rest_gets_it(chat_server, writer):
    server = chat_server(lambda question, times: ("status", 429, {"Retry-After": "60"}))
    found = answers(writer(server, concurrency=2), map(request, map(str, range(30))))
    assert {answer["error"] for answer in found.values()} == {"http_429"}
    # Those that were not with it when it said so are left for another run.
    assert {answer["tries"] for answer in found.values()} == {0, 1}
    assert sum(server.asked.values()) <= 2


@pytest.mark.parametrize(
    ("fault", "error", "times"),
    [
        (("status", 500, {}), "http_500", 3),
        (("status", 429, {}), "http_429", 3),
        (("status", 400, {}), "http_400", 1),
        (("status", 302, {"Location": "http://127.0.0.1:9/"}), "http_302", 1),
        ("reset", "connection_lost: ConnectionResetError", 3),
        ("cut", "connection_lost: ConnectionResetError", 3),
        ("garbage", "bad_answer", 3),
        ("hang", "timeout", 3),
    ],
)
def test_what_does_not_pass_is_one_requests_error(chat_server, writer, fault, error, times):
    server = chat_server(lambda question, times: fault if question == "bad" else "fine")
    found = answers(writer(server, timeout=0.3), map(request, ["first", "bad", "last"]))
    assert (found["first"]["text"], found["last"]["text"]) == ("fine", "fine")
    assert found["bad"] == {
        "text": None,
        "error": error,
        "finish_reason": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "tries": times,
    }
    assert server.asked["bad"] == times


@pytest.mark.parametrize("act", ["null", "empty"])
def test_an_empty_answer_is_an_answer(chat_server, writer, act):
    server = chat_server(lambda question, times: act)
    found = one(writer(server))
    assert found["error"] is None
    assert not (found["text"] or "").strip()
    assert server.asked["q"] == 1


def test_an_endless_answer_is_cut(chat_server, writer):
    server = chat_server(lambda question, times: "x" * (5 << 20))
    assert one(writer(server, timeout=20, attempts=1))["error"] == "connection_lost: AnswerTooLongError"


def test_the_key_is_sent_and_never_written(chat_server, writer, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("LENSMITH_TEST_KEY", "sk-very-secret")
    server = chat_server(lambda question, times: {"bad": "reset", "q": "fine"}.get(question, ("status", 401, {})))
    made = writer(server, api_key_variable="LENSMITH_TEST_KEY")
    with pytest.raises(ConfigurationError, match="LENSMITH_TEST_KEY") as caught:
        one(made, "refused")
    rows = answers(made, map(request, ["q", "bad"]))
    assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    captured = capfd.readouterr()
    written = caplog.text + captured.out + captured.err + str(caught.value) + repr(server.bodies) + repr(rows)
    assert "very-secret" not in written + repr(made)
    monkeypatch.setenv("LENSMITH_TEST_KEY", "sk-very-secret\nX-Other: 1")
    with pytest.raises(ConfigurationError, match="LENSMITH_TEST_KEY") as caught:
        writer(server, api_key_variable="LENSMITH_TEST_KEY")
    assert "very-secret" not in str(caught.value)


def test_without_a_key_none_is_sent(chat_server, writer, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_ORG_ID", "some-organisation")
    server = chat_server()
    one(writer(server))
    assert "Authorization" not in server.headers[0]
    assert "some-organisation" not in str(server.headers[0])


def closed_address():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/v1"


def test_an_endpoint_that_refuses_everything_ends_the_run(chat_server, writer):
    server = chat_server(lambda question, times: ("status", 404, {}))
    with pytest.raises(ConfigurationError, match=r"some-model.*404"):
        answers(writer(server), map(request, map(str, range(20))))
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        one(writer(closed_address(), attempts=1))
    with pytest.raises(ConfigurationError, match="base_url"):
        OpenAIWriter(WriterConfig(backend="openai"))


@pytest.mark.parametrize("status", [401, 402])
def test_a_key_that_is_worth_nothing_any_more_is_no_requests_fault(chat_server, writer, status):
    server = chat_server(lambda question, times: "fine" if question == "q" else ("status", status, {}))
    made = writer(server)
    assert one(made)["text"] == "fine"
    with pytest.raises(ConfigurationError, match=str(status)):
        one(made, "later")


def test_after_an_answer_a_404_is_one_requests_error(chat_server, writer):
    server = chat_server(lambda question, times: ("status", 404, {}) if question == "bad" else "fine")
    made = writer(server)
    assert one(made)["text"] == "fine"
    assert one(made, "bad")["error"] == "http_404"


@pytest.mark.parametrize(
    "address", ["http://user:secret@host/v1", "https://host/v1?key=secret", "ftp://host/v1", "localhost:8000"]
)
def test_addresses_hold_no_secrets(address):
    with pytest.raises((ConfigurationError, ValueError)) as caught:
        WriterConfig(base_url=address)
    if "secret" in address:
        assert "secret" not in str(caught.value)


@pytest.fixture
def certified(tmp_path):
    """A server's context for TLS as localhost, and the file of the certificate that vouches for it."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, str(file)


def test_a_server_behind_tls_must_prove_who_it_is(body_server, writer, certified, monkeypatch):
    context, file = certified
    address = body_server(lambda body, headers: "fine", context).replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(ConfigurationError, match="SSLCertVerificationError"):
        one(writer(address, attempts=1, timeout=20))
    monkeypatch.setenv("SSL_CERT_FILE", file)
    found = answers(writer(address, timeout=20), (request(str(number), [JPEG * 30_000]) for number in range(12)))
    assert [answer["text"] for answer in found.values()] == ["fine"] * 12


def test_the_load_is_spread_and_each_limit_kept(chat_server, writer):
    servers = [chat_server(delay=0.03), chat_server(delay=0.03), chat_server(delay=0.09)]
    found = answers(writer(*servers), map(request, map(str, range(90))))
    assert {answer["tries"] for answer in found.values()} == {1}
    assert [server.most for server in servers] == [4, 4, 4]
    quick, other, slow = (sum(server.asked.values()) for server in servers)
    assert quick + other + slow == 90
    assert 0 < slow < min(quick, other)


@pytest.mark.parametrize("fault", ["gone", 500, 503, 429])
def test_an_endpoint_that_cannot_serve_is_left_alone(chat_server, writer, fault):
    broken = closed_address() if fault == "gone" else chat_server(lambda question, times: ("status", fault, {}))
    found = answers(writer(broken, chat_server(delay=0.02), timeout=20), map(request, map(str, range(120))))
    assert {answer["error"] for answer in found.values()} == {None}
    # Those that were sent to it at first, and one at a time that looks whether it is there again.
    assert sum(answer["tries"] - 1 for answer in found.values()) <= 12


def test_a_resting_endpoint_is_not_asked_and_comes_back(chat_server, writer):
    moments = []

    def plan(question, times):
        moments.append(time.monotonic())
        return ("status", 429, {"Retry-After": "1"}) if moments[-1] - moments[0] < 0.5 else "fine"

    resting, server = chat_server(plan, delay=0.03), chat_server(delay=0.03)
    found = answers(writer(resting, server, timeout=20, max_wait=5.0), map(request, map(str, range(240))))
    assert {answer["error"] for answer in found.values()} == {None}
    at_first = [moment for moment in moments if moment - moments[0] < 0.9]
    assert len(at_first) <= 4
    assert len(moments) > len(at_first) + 1


def test_a_refused_form_is_asked_for_no_more(body_server, writer):
    forms = []

    def act(body, headers):
        forms.append(body.get("response_format"))
        if "response_format" in body:
            return 400, {}, b'{"error": {"message": "response_format is not supported"}}'
        return 200, {}, completion("{}", usage={"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15})

    made = writer(body_server(act), attempts=1)
    found = one(made, schema=SCHEMA)
    assert (found["error"], found["tries"], found["prompt_tokens"], found["completion_tokens"]) == (None, 2, 12, 3)
    assert one(made, "other", schema=SCHEMA)["tries"] == 1
    form = {"type": "json_schema", "json_schema": {"name": "some_prompt", "strict": True, "schema": SCHEMA}}
    assert forms == [form, None, None]


def test_a_refusal_of_something_else_is_the_requests_fault(body_server, writer):
    asked = []

    def act(body, headers):
        asked.append(body)
        return 400, {}, b'{"error": {"message": "this is longer than the context"}}'

    assert one(writer(body_server(act)), schema=SCHEMA)["error"] == "http_400"
    assert len(asked) == 1


def test_images_keep_their_order_and_their_bytes(body_server, writer):
    def act(body, headers):
        time.sleep(0.01)
        parts = body["messages"][0]["content"]
        uris = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return json.dumps([[uri.partition(";")[0], sha256(uri.encode()).hexdigest()] for uri in uris])

    def shown(number):
        return [
            (PNG if (number + index) % 2 else JPEG) + f"{number}/{index}".encode() * (1 + 20_000 * (index % 2))
            for index in range(1 + number % 4)
        ]

    made = writer(body_server(act), concurrency=32, timeout=20)
    found = answers(made, (request(str(number), shown(number)) for number in range(120)))
    for number in range(120):
        uris = [uri for _, uri in body_uris(shown(number))]
        kinds = [kind for kind, _ in body_uris(shown(number))]
        digests = [sha256(uri.encode()).hexdigest() for uri in uris]
        assert json.loads(found[str(number)]["text"]) == [list(pair) for pair in zip(kinds, digests, strict=True)]


def body_uris(images):
    """Media types and data URIs, made in another way than the writer's."""
    from binascii import b2a_base64

    for image in images:
        kind = "data:image/png" if image.startswith(PNG) else "data:image/jpeg"
        yield kind, f"{kind};base64,{b2a_base64(image, newline=False).decode()}"


def test_behind_a_faulty_line_each_request_ends_once_and_no_answer_is_paid_twice(fault_proxy, writer):
    pytest.importorskip("xllamacpp")
    asked = [request(f"Say the number {number}.", max_tokens=8, temperature=0.0) for number in range(24)]
    bodies = {one["request_id"]: body_of(one, "some-model", "schema") for one in asked}

    def kinds(seed):
        return {fault_proxy.fault_of(seed, body, 1) for body in bodies.values()}

    seed = next(seed for seed in range(100_000) if kinds(seed) == {None, *fault_proxy.FAULTS})
    server, address = fault_proxy.small_model_server()
    proxy = fault_proxy.FaultProxy(address, seed=seed)
    try:
        # One time-out is the hang's; the model takes well under a second.
        found = answers(writer(proxy.url, timeout=10.0, attempts=4, max_wait=5.0), asked)
    finally:
        proxy.close()
        del server
    assert found.keys() == bodies.keys()
    assert set(proxy.met) == set(fault_proxy.FAULTS)
    assert proxy.repeated == []
    for name, body in bodies.items():
        digest = sha256(body).hexdigest()
        assert proxy.answered[digest] == (found[name]["error"] is None)
        assert proxy.asked[digest] == found[name]["tries"]
    assert Counter(answer["error"] for answer in found.values())[None] >= 23
    assert any((answer["text"] or "").startswith("<think>") for answer in found.values())
