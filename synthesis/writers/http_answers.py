"""Answers of HTTP/1.1 servers, read as their bytes come: no more of the protocol than an endpoint of models speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?$")
_SIZE = re.compile(rb"\s*([0-9a-fA-F]{1,8})\s*(?:;[^\r\n]*)?$")
_LENGTH = re.compile(r"[0-9]{1,15}$")
_HEAD_END = b"\r\n\r\n"
#: Bytes of the lines before a body, at most.
_MAX_HEAD = 64 << 10


class MalformedAnswerError(Exception):
    """What came is no answer of HTTP/1.1, or it is compressed although that was not asked for."""


class AnswerTooLongError(Exception):
    """No honest answer has so many bytes."""


class AnswerReader:
    """One answer, fed with bytes in pieces of any size. Once it is complete: `status`, `headers` (names in lower case),
    `body`, and `reusable`, whether the connection may carry another request.

    Raises MalformedAnswerError and AnswerTooLongError (a body of more than `most` bytes) from `feed`.
    """

    def __init__(self, most: int) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""
        self.reusable = False
        self._most = most
        self._waiting = bytearray()
        self._pieces = bytearray()
        self._state = self._head
        self._left = 0
        self._done = False

    def feed(self, data: bytes) -> bool:
        """Whether the answer is complete with these bytes. Bytes behind its end make the connection unusable."""
        self._waiting += data
        while not self._done and self._state():
            pass
        if self._done and self._waiting:
            self.reusable = False
        return self._done

    def end(self) -> bool:
        """The peer closed the connection: whether the answer is complete with that."""
        if self._state == self._until_close:
            self._finish(bytes(self._pieces), reusable=False)
        return self._done

    def _head(self) -> bool:
        at = self._waiting.find(_HEAD_END)
        if at < 0 or at > _MAX_HEAD:
            if len(self._waiting) > _MAX_HEAD:
                raise MalformedAnswerError("the head has no end")
            return False
        first, *lines = bytes(self._waiting[:at]).split(b"\r\n")
        del self._waiting[: at + len(_HEAD_END)]
        match = _STATUS_LINE.match(first)
        if match is None:
            raise MalformedAnswerError("no status line")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or name != name.strip():
                raise MalformedAnswerError("no header")
            headers[name.lower()] = value.strip()
        self.status, self.headers = int(match[2]), headers
        if self.status < 200:  # "100 Continue" and its like: the answer follows.
            return True
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise MalformedAnswerError("compressed")
        close = "close" if match[1] == b"0" else ""
        self.reusable = "close" not in headers.get("connection", close).lower()
        self._choose()
        return True

    def _choose(self) -> None:
        """How the body's end is told."""
        coding = self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        if self.status in (204, 304):
            self._finish(b"", self.reusable)
        elif coding == "chunked":
            self._state = self._chunk_size
        elif coding:
            raise MalformedAnswerError("a transfer coding that was not asked for")
        elif length is None:
            self._state = self._until_close
        elif not _LENGTH.match(length):
            raise MalformedAnswerError("no length")
        else:
            self._left = int(length)
            self._bounded(self._left)
            self._state = self._counted

    def _counted(self) -> bool:
        if len(self._waiting) < self._left:
            return False
        body = bytes(self._waiting[: self._left])
        del self._waiting[: self._left]
        self._finish(body, self.reusable)
        return True

    def _until_close(self) -> bool:
        self._bounded(len(self._pieces) + len(self._waiting))
        self._pieces += self._waiting
        self._waiting.clear()
        return False

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        match = _SIZE.match(line)
        if match is None:
            raise MalformedAnswerError("no chunk size")
        self._left = int(match[1], 16)
        self._bounded(len(self._pieces) + self._left)
        self._state = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        if len(self._waiting) < self._left + 2:
            return False
        if self._waiting[self._left : self._left + 2] != b"\r\n":
            raise MalformedAnswerError("a chunk without end")
        self._pieces += self._waiting[: self._left]
        del self._waiting[: self._left + 2]
        self._state = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._line()
        if line == b"":
            self._finish(bytes(self._pieces), self.reusable)
        return line is not None

    def _line(self) -> bytes | None:
        at = self._waiting.find(b"\r\n")
        if at < 0:
            if len(self._waiting) > _MAX_HEAD:
                raise MalformedAnswerError("a line without end")
            return None
        line = bytes(self._waiting[:at])
        del self._waiting[: at + 2]
        return line

    def _bounded(self, size: int) -> None:
        if size > self._most:
            raise AnswerTooLongError(f"more than {self._most} bytes")

    def _finish(self, body: bytes, reusable: bool) -> None:
        self.body, self.reusable, self._done = body, reusable, True
