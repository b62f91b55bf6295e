"""A loopback web of several hosts, with everything that can go wrong on one."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mining.fetching import Address, FetchConfig, fetch_bucket
from schemas.outcomes import CollectedOutcomes

#: The smallest PNG there is: one grey pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636800000082008177cd72b6"
    "0000000049454e44ae426082"
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(200) + b"\xff\xd9"

Route = Callable[["Handler"], None]


@dataclass
class Request:
    moment: float
    host: str
    path: str
    agent: str | None


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the route of host and path, or of the path alone; 404 without one."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").partition(":")[0]
        with self.server.lock:
            self.server.log.append(Request(time.monotonic(), host, self.path, self.headers.get("User-Agent")))
            self.server.in_flight[host] = self.server.in_flight.get(host, 0) + 1
            peak = max(self.server.peak.get(host, 0), self.server.in_flight[host])
            self.server.peak[host] = peak
        try:
            route = self.server.routes.get(f"{host}{self.path}") or self.server.routes.get(self.path)
            if route is None:
                self.reply(404, b"none", "text/plain")
            else:
                route(self)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.in_flight[host] -= 1

    def reply(self, status: int, body: bytes, kind: str = "image/png", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Route] = {}
        self.log: list[Request] = []
        self.lock = threading.Lock()
        self.in_flight: dict[str, int] = {}
        self.peak: dict[str, int] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def image(body: bytes = PNG, kind: str = "image/png", **headers: str) -> Route:
    return lambda handler: handler.reply(200, body, kind, **headers)


def status(code: int, **headers: str) -> Route:
    return lambda handler: handler.reply(code, b"no", "text/plain", **headers)


def redirect(to: str, code: int = 302) -> Route:
    return lambda handler: handler.reply(code, b"", "text/plain", Location=to)


def never_before(moments: list[float], started: float, interval: float) -> bool:
    """Whether request number k arrived at least k intervals after the start. Arrivals may be late, starts not early,
    so that this holds on a busy machine too, unlike a look at the gaps."""
    return all(moment - started >= number * interval for number, moment in enumerate(sorted(moments)))


@dataclass
class Web:
    """A server on loopback that any number of host names resolve to, and what was looked up."""

    server: Server
    names: dict[str, list[str]] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str, host: str = "site.test") -> str:
        return f"http://{host}:{self.port}{path}"

    def on(self, path: str, route: Route) -> None:
        self.server.routes[path] = route

    def asked(self, path: str | None = None, host: str | None = None) -> list[Request]:
        return [
            request
            for request in self.server.log
            if path in (None, request.path) and host in (None, request.host) and (path or request.path != "/robots.txt")
        ]

    def resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """`*.test` is the server unless `names` says otherwise; a list of several answers is gone through."""
        self.lookups.append(host)
        answers = self.names.get(host)
        if answers is None and not host.endswith(".test"):
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        if answers == []:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        text = "127.0.0.1" if answers is None else answers[0] if len(answers) == 1 else answers.pop(0)
        found = []
        for ip in text.split():
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", (ip, port, 0, 0) if ":" in ip else (ip, port)))
        return found


@pytest.fixture
def web() -> Iterator[Web]:
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield Web(server)
    server.shutdown()
    server.server_close()


@dataclass
class Fetched:
    """What a bucket came to, by address."""

    outcomes: CollectedOutcomes

    @property
    def images(self) -> dict[str, dict[str, Any]]:
        return {row["url"]: row for row in self.outcomes.rows("images")}

    @property
    def reasons(self) -> dict[str, str]:
        rows = self.outcomes.rows("rejected") + self.outcomes.rows("deferred")
        return {row["url"]: row["reason"] for row in rows}


FAST: dict[str, Any] = {
    "host_interval": 0.0,
    "host_concurrency": 8,
    "attempts": 1,
    "backoff_seconds": 0.05,
    "total_seconds": 5.0,
    "allow_hosts": ("site.test", "other.test", "third.test"),
}


@pytest.fixture
def fetch(web: Web, tmp_path: Any) -> Callable[..., Fetched]:
    """`fetch(url, …, setting=value)`: fetch the addresses as one bucket, quickly unless told otherwise."""

    def run(*urls: str, quarantine: dict[str, str] | None = None, **settings: Any) -> Fetched:
        outcomes = CollectedOutcomes()
        config = FetchConfig(**{**FAST, **settings})
        scratch = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
        fetch_bucket(
            [Address(url) for url in urls],
            config,
            outcomes,
            lambda key: None,
            quarantine or {},
            str(scratch),
            resolver=web.resolve,
        )
        assert outcomes.counts.unbalanced() == []
        assert outcomes.counts.entry("address").entered == len(set(urls))
        return Fetched(outcomes)

    return run


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
