"""A file on a web server as a seekable stream: retried, and resumed where a connection broke off."""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import httpx

from mining.archives.records import SourceLostError

_log = logging.getLogger(__name__)
_ATTEMPTS = 6
_LONGEST_WAIT = 60.0
#: A wait is cut into pieces so that whoever watches sees that it is one.
_BEAT_SECONDS = 5.0
_RANGE = re.compile(r"bytes (\d+)-")
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpStream(io.RawIOBase):
    """Reads `url` by range requests. Raises SourceLostError when the server fails again and again, when the file is
    not there, or when it changes while it is read."""

    def __init__(
        self, url: str, timeout: float = 30.0, first_wait: float = 1.0, beat: Callable[[], None] = lambda: None
    ) -> None:
        """`beat` is called at every piece that arrives and every few seconds of a wait."""
        super().__init__()
        self._url, self._first_wait, self._beat = url, first_wait, beat
        self._client = httpx.Client(timeout=timeout, follow_redirects=True)
        self._position = 0
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._rest = b""
        self._version: str | None = None
        self._size: int | None = None
        self._failures = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes, by asking for another range."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; the next read asks for the rest from there."""
        if whence == os.SEEK_END:
            if self._size is None:
                self._request()
            offset += self._size or 0
        elif whence == os.SEEK_CUR:
            offset += self._position
        if offset != self._position:
            self._drop()
            self._position = offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read some bytes; 0 at the end."""
        while not self._rest:
            if self._size is not None and self._position >= self._size:
                return 0
            try:
                if self._response is None:
                    self._request()
                self._beat()
                self._rest = next(self._pieces, b"")
            except (httpx.TransportError, httpx.StreamError) as error:
                self._failed(f"{type(error).__name__}: {error}", None)
                continue
            if not self._rest:
                if self._size is None or self._position >= self._size:
                    return 0
                self._failed("the connection was cut", None)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._position += count
        self._failures = 0
        return count

    def close(self) -> None:
        """Close the connection."""
        self._drop()
        self._client.close()
        super().close()

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response, self._rest, self._pieces = None, b"", iter(())

    def _request(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._position:
            headers["Range"] = f"bytes={self._position}-"
            if self._version:
                headers["If-Range"] = self._version
        while True:
            try:
                request = self._client.build_request("GET", self._url, headers=headers)
                response = self._client.send(request, stream=True)
            except httpx.TransportError as error:
                self._failed(f"{type(error).__name__}: {error}", None)
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise SourceLostError(f"{self._url}: {error}") from error
            if response.status_code in _RETRIED:
                response.close()
                self._failed(f"status {response.status_code}", response.headers.get("Retry-After"))
                continue
            break
        self._begin(response)

    def _begin(self, response: httpx.Response) -> None:
        if response.status_code == 416:
            response.close()
            self._size = min(self._position, self._size or self._position)
            return
        if response.status_code not in (200, 206):
            response.close()
            raise SourceLostError(f"{self._url} answers with status {response.status_code}")
        version = _version_of(response)
        if self._version is not None and version is not None and version != self._version:
            response.close()
            raise SourceLostError(f"{self._url} changed while it was read")
        self._version = version
        length = int(response.headers.get("Content-Length", -1))
        start = 0
        if response.status_code == 206:
            start = _range_start(response.headers.get("Content-Range", ""), self._position)
        if start > self._position:
            response.close()
            raise SourceLostError(f"{self._url} answers with another range than it was asked for")
        if length >= 0:
            self._size = start + length
        self._response, self._pieces = response, response.iter_raw()
        # A server that knows no ranges sends the whole file again.
        skip = self._position - start
        while skip > 0 and (piece := next(self._pieces, b"")):
            self._rest = piece[skip:]
            skip -= len(piece)

    def _failed(self, why: str, retry_after: str | None) -> None:
        self._drop()
        self._failures += 1
        if self._failures >= _ATTEMPTS:
            raise SourceLostError(f"{self._url}: {why}, {self._failures} times in a row")
        wait = min(_LONGEST_WAIT, _seconds(retry_after) or self._first_wait * 2 ** (self._failures - 1))
        _log.warning("%s: %s; trying again at byte %d in %.1f s", self._url, why, self._position, wait)
        while wait > 0:
            self._beat()
            time.sleep(min(wait, _BEAT_SECONDS))
            wait -= _BEAT_SECONDS


def _version_of(response: httpx.Response) -> str | None:
    """What tells one version of a file from another byte by byte: a strong ETag, else the date of its last change."""
    etag: str | None = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _range_start(content_range: str, asked: int) -> int:
    """Where a partial answer begins: what it says, else what was asked for."""
    found = _RANGE.match(content_range)
    return int(found[1]) if found else asked


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` as seconds from now, from either of its forms."""
    if not retry_after:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
