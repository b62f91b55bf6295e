"""A proxy before a chat endpoint: a share of the requests meets a fault, and what is answered in full is counted."""

from __future__ import annotations

import hashlib
import http.client
import json
import select
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("busy", "broken", "hang", "reset", "cut", "bad_json", "empty", "think")
#: Of these the client gets an answer of a model, if not the one that the server gave.
ANSWERS = frozenset({None, "empty", "think"})


def fault_of(seed, body, times, share=0.3, faults=FAULTS):
    """What the `times`-th asking of a body meets, None if nothing."""
    drawn = hashlib.sha256(f"{seed}:{times}:".encode() + body).digest()
    if int.from_bytes(drawn[:8]) >= share * 2**64:
        return None
    return faults[int.from_bytes(drawn[8:16]) % len(faults)]


def small_model_server(parallel=2, threads=1):
    """llama.cpp's own HTTP server with SmolLM2-135M: the server, which must be kept, and its base address."""
    import xllamacpp

    from synthesis.config import WriteConfig
    from synthesis.writers.xllamacpp_writer import model_file

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file(WriteConfig()))
    parameters.n_ctx = 1024 * parallel
    parameters.n_parallel = parallel
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.verbosity = -1
    parameters.warmup = False
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        parameters.port = free.getsockname()[1]
    server = xllamacpp.Server(parameters)
    return server, f"{server.listening_address}/v1"


class FaultProxy:
    """`asked`, `answered`: digest of a body → how often it came, how often the server's answer (or the `empty` one in
    its place) went out in full. `met`: fault → how often. `repeated`: digests that came after they were answered.
    `retry_after` is what a 429 says; a hang lasts until the client goes, `hang` seconds at most."""

    def __init__(self, upstream, share=0.3, seed=0, faults=FAULTS, retry_after="1", hang=60.0):
        self.asked, self.answered, self.met, self.repeated = Counter(), Counter(), Counter(), []
        self._upstream, self._share, self._seed, self._faults = urlsplit(upstream), share, seed, faults
        self._retry_after, self._hang = retry_after, hang
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy._act(self, body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, request, client_address):
                """A client that is gone is what this is for."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def _act(self, handler, body):
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            self.asked[digest] += 1
            if self.answered[digest]:
                self.repeated.append(digest)
            fault = fault_of(self._seed, body, self.asked[digest], self._share, self._faults)
            if fault is not None:
                self.met[fault] += 1
        if fault in ("hang", "reset"):
            handler.close_connection = True
            if fault == "hang":
                select.select([handler.connection], [], [], self._hang)
            else:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handler.connection.close()
        elif fault in ("busy", "broken"):
            more = {"Retry-After": self._retry_after} if fault == "busy" else {}
            _send(handler, 429 if fault == "busy" else 500, b'{"error": {"message": "not now"}}', more)
        else:
            self._relay(handler, body, digest, fault)

    def _relay(self, handler, body, digest, fault):
        status, answer = (200, _completion("")) if fault == "empty" else self._ask(handler.path, body)
        if fault == "think":
            answer = _dressed(answer)
        if fault not in ANSWERS:
            sent = answer[: len(answer) // 2]
            # Closed without a word after a whole answer, a connection might swallow the next request uncounted.
            handler.close_connection = fault == "cut"
            _send(handler, status, sent, {}, length=len(answer) if fault == "cut" else len(sent))
            return
        if status == 200:
            with self._lock:
                self.answered[digest] += 1
        try:
            _send(handler, status, answer, {})
        except OSError:
            with self._lock:
                self.answered[digest] -= status == 200
            raise

    def _ask(self, path, body):
        connection = http.client.HTTPConnection(self._upstream.netloc, timeout=120)
        try:
            path = self._upstream.path + path.removeprefix("/v1")
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _send(handler, status, data, more, length=None):
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **more}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data) if length is None else length))
    handler.end_headers()
    handler.wfile.write(data)


def _completion(content):
    message = {"role": "assistant", "content": content}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()


def _dressed(answer):
    """The same answer as a reasoning model gives it."""
    given = json.loads(answer)
    message = given["choices"][0]["message"]
    message["content"] = f"<think>Let me see.</think>\n```json\n{message['content']}\n```"
    return json.dumps(given).encode()
