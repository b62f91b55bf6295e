"""A web on loopback that answers from memory, with faults if asked, and remembers who asked for what."""

from __future__ import annotations

import http.server
import itertools
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stored:
    """One answer; `first` are statuses of the first requests for it, 0 for a connection closed unanswered."""

    body: bytes = b""
    mime: str = "image/png"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    first: list[int] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ReplayServer

    def do_GET(self) -> None:
        with self.server.lock:
            number = next(self.server.numbers)
            self.server.log.append(self.path)
            stored = self.server.answers.get(self.path) or Stored(b"none", "text/plain", 404)
            status = stored.first.pop(0) if stored.first else stored.status
            # robots.txt is spared: a host whose rules cannot be read is not asked for anything else in this run.
            if self.path != "/robots.txt":
                if self.server.drop_every and number % self.server.drop_every == 0:
                    status = 0
                elif self.server.error_every and number % self.server.error_every == 0:
                    status = 500
        if self.server.hold_after is not None and number > self.server.hold_after and self.path != "/robots.txt":
            self.server.released.wait(60)
        if status == 0:
            self.close_connection = True
            return
        body = stored.body if status == stored.status else b"no"
        self.send_response(status)
        self.send_header("Content-Type", stored.mime)
        self.send_header("Content-Length", str(len(body)))
        for name, value in stored.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class ReplayServer(http.server.ThreadingHTTPServer):
    """Answers by path; every `drop_every`th request is dropped, every `error_every`th gets a 500."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answers: dict[str, Stored], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers = answers
        self.log: list[str] = []
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.drop_every = self.error_every = 0
        #: Requests after so many are answered when `released` is set.
        self.hold_after: int | None = None
        self.released = threading.Event()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self) -> Counter[str]:
        """How often each path was asked for, robots.txt left out."""
        return Counter(path for path in self.log if path != "/robots.txt")

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serving(answers: dict[str, Stored], port: int = 0):
    """A server at work."""
    server = ReplayServer(answers, port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
