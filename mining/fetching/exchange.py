"""One HTTP exchange with one checked endpoint, within a time and a byte limit. Follows nothing, decodes content."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from mining.fetching.address_policy import Endpoint
from mining.fetching.addresses import Target
from mining.fetching.connections import BUFFER, ConnectionPool, PinnedConnection
from mining.fetching.content_coding import BadCodingError, TooLargeError, decode_content
from mining.fetching.verdicts import StoppedError, Verdict, failed, rejected

#: Bodies of refusals up to so many bytes are read to their end.
_SHORT = 16 * 1024
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
class Client:
    """What all exchanges of a bucket share."""

    tls: ssl.SSLContext
    pool: ConnectionPool = field(default_factory=ConnectionPool)


class _HungUpError(Exception):
    """A kept connection ended before a byte of the answer."""


@dataclass(frozen=True)
class Limits:
    """Limits of one exchange: `deadline` on the monotonic clock, the rest in seconds and bytes."""

    deadline: float
    connect_seconds: float
    max_bytes: int
    #: Keep the beginning of a body that is too long instead of stopping.
    truncate: bool = False


def exchange(
    target: Target, endpoints: Sequence[Endpoint], user_agent: str, accept: str, limits: Limits, client: Client
) -> Answer:
    """Ask for one target, over a connection kept from before or at the first endpoint that takes one.

    Raises StoppedError: failed `timeout`, `connection_refused`, `connection_reset`, `connection_cut`,
    `connection_failed`, `tls_error`, `bad_response`; rejected `too_large`, `bad_encoding`."""
    headers = {"Host": target.authority, "User-Agent": user_agent, "Accept": accept, "Accept-Encoding": "identity"}
    connection = client.pool.take(target.origin)
    if connection is not None:
        try:
            return _exchange(connection, target, headers, limits, client.pool)
        except _HungUpError:
            # The server closed an idle connection just as it was used again: nothing was answered.
            pass
    return _exchange(PinnedConnection(target, endpoints, client.tls), target, headers, limits, client.pool)


def _exchange(
    connection: PinnedConnection, target: Target, headers: dict[str, str], limits: Limits, pool: ConnectionPool
) -> Answer:
    reused, reusable = connection.reused, False
    try:
        connection.begin(limits.deadline, limits.connect_seconds)
        response = _send(connection, target, headers, reused)
        with response:
            answer = _read_answer(response, limits)
            reusable = response.isclosed() and not response.will_close
        return answer
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
        raise failed("connection_failed", str(error), unreachable=not connection.reused) from error
    except (http.client.HTTPException, ValueError) as error:
        # http.client lets ValueError through for chunk sizes and lengths that are no numbers.
        raise failed("bad_response", f"{type(error).__name__}: {error}") from error
    finally:
        if reusable and connection.clean():
            pool.give(target.origin, connection)
        else:
            connection.release()


def _send(
    connection: PinnedConnection, target: Target, headers: dict[str, str], reused: bool
) -> http.client.HTTPResponse:
    """The request, and the answer up to its body."""
    try:
        connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()
    except (ConnectionError, http.client.RemoteDisconnected) as error:
        if reused:
            raise _HungUpError from error
        raise


def _read_answer(response: http.client.HTTPResponse, limits: Limits) -> Answer:
    headers = tuple(response.headers.items())
    if response.status not in _OK:
        # A short body is read, so that the connection can be used again; nothing depends on it.
        if response.length is not None and response.length <= _SHORT:
            response.read()
        return Answer(response.status, headers, b"")
    if response.length is not None and response.length > limits.max_bytes and not limits.truncate:
        raise rejected("too_large", f"{response.length} bytes announced")
    pieces, size = [], 0
    while size <= limits.max_bytes and (piece := response.read(BUFFER)):
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
