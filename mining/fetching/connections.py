"""Connections to checked addresses: pinned, under a deadline, and kept open for the host's next address."""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

from mining.fetching.address_policy import Endpoint
from mining.fetching.addresses import Target

BUFFER = 128 * 1024
#: Idle connections are given up before most servers do so, and long before a name is looked up again, seconds.
_IDLE_SECONDS = 4.0
_MAX_IDLE = 256


def remaining(deadline: float) -> float:
    """Seconds until a moment of the monotonic clock; TimeoutError when it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is up")
    return seconds


class PinnedConnection(http.client.HTTPConnection):
    """Connects to checked endpoints only, never to what the host's name may mean by now."""

    def __init__(self, target: Target, endpoints: Sequence[Endpoint], tls: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port)
        self._target, self._endpoints, self._tls = target, endpoints, tls
        self._wire: _Wire | None = None
        self.deadline = self.connect_deadline = 0.0

    @property
    def reused(self) -> bool:
        """Whether the connection is open from an earlier exchange."""
        return self._wire is not None

    def begin(self, deadline: float, connect_seconds: float) -> None:
        """Set the limits of the next exchange."""
        self.deadline = deadline
        self.connect_deadline = min(deadline, time.monotonic() + connect_seconds)
        if self._wire is not None:
            self._wire.deadline = deadline

    def connect(self) -> None:
        """Open the connection, with TLS for https, the certificate checked against the address's host."""
        for number, endpoint in enumerate(self._endpoints, 1):
            try:
                raw = _open(endpoint, self.connect_deadline)
                break
            except OSError:
                if number == len(self._endpoints) or time.monotonic() >= self.connect_deadline:
                    raise
        if self._target.scheme == "https":
            try:
                raw.settimeout(remaining(self.connect_deadline))
                raw = self._tls.wrap_socket(raw, server_hostname=self._target.host)
            except BaseException:
                raw.close()
                raise
        self._wire = _Wire(raw, self.deadline)
        self.sock: Any = self._wire

    def clean(self) -> bool:
        """Whether the connection is open and silent: what a server sent beyond its answer, or that it hung up, would
        otherwise be taken for the next answer."""
        return self.sock is not None and self._wire is not None and self._wire.silent()

    def release(self) -> None:
        """Close the socket itself: `close` is called by `getresponse` too, before the body has been read."""
        self.close()
        if self._wire is not None:
            self._wire.release()
            self._wire = None


class ConnectionPool:
    """Idle connections by origin. Used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, PinnedConnection]]] = {}
        self._count = 0

    def take(self, origin: str) -> PinnedConnection | None:
        """An idle connection to an origin that is still good, or None."""
        while True:
            with self._lock:
                kept = self._idle.get(origin)
                if not kept:
                    return None
                since, connection = kept.pop()
                self._count -= 1
                if not kept:
                    del self._idle[origin]
            if time.monotonic() - since < _IDLE_SECONDS and connection.clean():
                return connection
            connection.release()

    def give(self, origin: str, connection: PinnedConnection) -> None:
        """Keep a connection whose answer was read to its end; over the limit, the origin idle longest loses one."""
        oldest = None
        with self._lock:
            self._idle.setdefault(origin, []).append((time.monotonic(), connection))
            self._count += 1
            if self._count > _MAX_IDLE:
                first = next(iter(self._idle))
                oldest = self._idle[first].pop(0)[1]
                self._count -= 1
                if not self._idle[first]:
                    del self._idle[first]
        if oldest is not None:
            oldest.release()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            idle = [connection for kept in self._idle.values() for _, connection in kept]
            self._idle.clear()
            self._count = 0
        for connection in idle:
            connection.release()


def _open(endpoint: Endpoint, deadline: float) -> socket.socket:
    raw = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        raw.settimeout(remaining(deadline))
        raw.connect(endpoint.address)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        raw.close()
        raise
    return raw


class _Wire:
    """What `http.client` needs of a socket, every call ending by the deadline: a server that sends a byte now and
    then would keep a plain socket time-out from ever passing."""

    def __init__(self, raw: socket.socket, deadline: float) -> None:
        self.raw, self.deadline = raw, deadline
        self._source = _Source(self)
        self._reader = _KeptReader(self._source, BUFFER)

    def sendall(self, data: bytes) -> None:
        self.raw.settimeout(remaining(self.deadline))
        self.raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._reader

    def close(self) -> None:
        """Left to `release`."""

    def silent(self) -> bool:
        self._source.dry = True
        try:
            if self._reader.peek(1):
                return False
        finally:
            self._source.dry = False
        poll = select.poll()
        poll.register(self.raw, select.POLLIN)
        return not poll.poll(0)

    def release(self) -> None:
        self.raw.close()


class _Source(io.RawIOBase):
    """Bytes from the wire. `dry` has it say that there are none now, so that a buffer above it can be looked into."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self.dry = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.dry:
            return None
        self._wire.raw.settimeout(remaining(self._wire.deadline))
        return self._wire.raw.recv_into(buffer)


class _KeptReader(io.BufferedReader):
    """One buffer for all answers of a connection: `http.client` closes it after each."""

    def close(self) -> None:
        """Left to the wire's `release`."""
