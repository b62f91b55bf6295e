"""One HTTP exchange with one checked endpoint, within a time and a byte limit. Follows nothing, decodes content."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mining.fetching.address_policy import Endpoint
from mining.fetching.addresses import Target
from mining.fetching.content_coding import BadCodingError, TooLargeError, decode_content
from mining.fetching.verdicts import StoppedError, Verdict, failed, rejected

_PIECE = 128 * 1024
_OK = range(200, 300)


@dataclass(frozen=True)
class Answer:
    """Status, headers as they came, and the body after content decoding (empty unless the status is 2xx).

    `truncated` is set where the body was longer than the limit and the caller wanted its beginning only."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool = False

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Limits:
    """Limits of one exchange: `deadline` on the monotonic clock, the rest in seconds and bytes."""

    deadline: float
    connect_seconds: float
    max_bytes: int
    #: Keep the beginning of a body that is too long instead of stopping.
    truncate: bool = False


def exchange(
    target: Target, endpoints: Sequence[Endpoint], user_agent: str, accept: str, limits: Limits, tls: ssl.SSLContext
) -> Answer:
    """Ask for one target at the first endpoint that takes the connection.

    Raises StoppedError: failed `timeout`, `connection_refused`, `connection_reset`, `connection_cut`,
    `connection_failed`, `tls_error`, `bad_response`; rejected `too_large`, `bad_encoding`."""
    connection = _PinnedConnection(target, endpoints, limits, tls)
    try:
        connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (
            ("Host", target.authority),
            ("User-Agent", user_agent),
            ("Accept", accept),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        with connection.getresponse() as response:
            return _read_answer(response, limits)
    except StoppedError:
        raise
    except TimeoutError as error:
        raise failed("timeout", str(error), unreachable=True) from error
    except ssl.SSLError as error:
        # A certificate is as bad the second time.
        raise StoppedError(Verdict("failed", "tls_error", str(error))) from error
    except http.client.IncompleteRead as error:
        raise failed("connection_cut", f"{len(error.partial)} bytes of the last part") from error
    except ConnectionRefusedError as error:
        raise failed("connection_refused", str(error), unreachable=True) from error
    except (ConnectionError, http.client.RemoteDisconnected) as error:
        raise failed("connection_reset", str(error)) from error
    except OSError as error:
        raise failed("connection_failed", str(error), unreachable=not connection.connected) from error
    except (http.client.HTTPException, ValueError) as error:
        # http.client lets ValueError through for chunk sizes and lengths that are no numbers.
        raise failed("bad_response", f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
        connection.release()


def _read_answer(response: http.client.HTTPResponse, limits: Limits) -> Answer:
    headers = tuple(response.headers.items())
    if response.status not in _OK:
        return Answer(response.status, headers, b"")
    if response.length is not None and response.length > limits.max_bytes and not limits.truncate:
        raise rejected("too_large", f"{response.length} bytes announced")
    pieces, size = [], 0
    while size <= limits.max_bytes and (piece := response.read(_PIECE)):
        pieces.append(piece)
        size += len(piece)
    body = b"".join(pieces)
    truncated = size > limits.max_bytes
    if truncated and not limits.truncate:
        raise rejected("too_large", f"more than {limits.max_bytes} bytes")
    if not truncated and response.length:
        raise failed("connection_cut", f"{response.length} bytes are missing")
    codings = [value for key, value in headers if key.lower() == "content-encoding"]
    try:
        body, cut = decode_content(body, codings, limits.max_bytes, truncate=limits.truncate)
    except TooLargeError as error:
        raise rejected("too_large", str(error)) from error
    except BadCodingError as error:
        raise rejected("bad_encoding", str(error)) from error
    return Answer(response.status, headers, body[: limits.max_bytes], truncated or cut)


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to checked endpoints only, never to what the host's name may mean by now."""

    def __init__(self, target: Target, endpoints: Sequence[Endpoint], limits: Limits, tls: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port)
        self._target, self._endpoints, self._limits, self._tls = target, endpoints, limits, tls
        self.connected = False
        self._raw: socket.socket | None = None

    def release(self) -> None:
        """Close the socket itself: `close` is called by `getresponse` too, before the body has been read."""
        if self._raw is not None:
            self._raw.close()

    def connect(self) -> None:
        """Open the connection, with TLS for https, the certificate checked against the address's host."""
        deadline = min(self._limits.deadline, time.monotonic() + self._limits.connect_seconds)
        for number, endpoint in enumerate(self._endpoints, 1):
            try:
                raw = _open(endpoint, deadline)
                break
            except OSError:
                if number == len(self._endpoints) or time.monotonic() >= deadline:
                    raise
        if self._target.scheme == "https":
            try:
                raw.settimeout(_remaining(deadline))
                raw = self._tls.wrap_socket(raw, server_hostname=self._target.host)
            except BaseException:
                raw.close()
                raise
        self.connected = True
        self._raw = raw
        self.sock: Any = _DeadlineSocket(raw, self._limits.deadline)


def _open(endpoint: Endpoint, deadline: float) -> socket.socket:
    raw = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        raw.settimeout(_remaining(deadline))
        raw.connect(endpoint.address)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        raw.close()
        raise
    return raw


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("the time is up")
    return remaining


class _DeadlineSocket:
    """What `http.client` needs of a socket, every call ending by the deadline: a server that sends a byte now and
    then would keep a plain socket time-out from ever passing."""

    def __init__(self, raw: socket.socket, deadline: float) -> None:
        self._raw, self._deadline = raw, deadline

    def sendall(self, data: bytes) -> None:
        self._raw.settimeout(_remaining(self._deadline))
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._raw, self._deadline), _PIECE)

    def close(self) -> None:
        """Left to the connection's `release`."""


class _DeadlineReader(io.RawIOBase):
    def __init__(self, raw: socket.socket, deadline: float) -> None:
        self._raw, self._deadline = raw, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(_remaining(self._deadline))
        return self._raw.recv_into(buffer)
