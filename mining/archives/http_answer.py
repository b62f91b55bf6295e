"""The HTTP answer in a record's block: status, headers, and the body without its transfer coding."""

from __future__ import annotations

import re

#: Bytes of status line and headers; browsers and servers allow a few hundred kilobytes at most.
HEAD_LIMIT = 256 << 10
_END = re.compile(rb"\r?\n\r?\n")
_LINES = re.compile(rb"\r?\n")
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})(?!\d)")
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHUNK_LINE = 4096

Headers = list[tuple[str, str]]


class HeadTooLongError(ValueError):
    """Status line and headers have no end within HEAD_LIMIT."""


def split_answer(block: bytes) -> tuple[int | None, Headers, bytes]:
    """Status, headers and body (transfer coding undone) of a block. A block that is no HTTP answer is all body, without
    status; an interim answer (1xx) before the final one is passed over. Raises HeadTooLongError."""
    while True:
        if not block.startswith(b"HTTP/"):
            return None, [], block
        end = _END.search(block, 0, HEAD_LIMIT)
        if end is None and len(block) >= HEAD_LIMIT:
            raise HeadTooLongError(f"no end of the HTTP headers within {HEAD_LIMIT} bytes")
        head, body = (block[: end.start()], block[end.end() :]) if end is not None else (block, b"")
        found = _STATUS.match(head)
        if found is None or not found[1].startswith(b"1") or not body.startswith(b"HTTP/"):
            break
        block = body
    headers = _headers(head)
    if any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in headers):
        body = dechunk(body)
    return int(found[1]) if found is not None else None, headers, body


def _headers(head: bytes) -> Headers:
    headers: Headers = []
    for line in _LINES.split(head)[1:]:
        if line[:1] in (b" ", b"\t") and headers:
            name, value = headers[-1]
            headers[-1] = name, f"{value} {_text(line)}"
            continue
        before, colon, after = line.partition(b":")
        if colon:
            headers.append((_text(before), _text(after)))
    return headers


def _text(raw: bytes) -> str:
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()


def dechunk(body: bytes) -> bytes:
    """Undo the chunked transfer coding. A body that is not chunked after all, as some crawlers store it, comes back
    as it is; one that was cut comes back as far as it goes."""
    parts: list[bytes] = []
    start = 0
    while start < len(body):
        line = _CHUNK.match(body, start, start + _CHUNK_LINE)
        if line is None:
            return b"".join(parts) if parts else body
        size = int(line[1], 16)
        if size == 0:
            break
        parts.append(body[line.end() : line.end() + size])
        start = line.end() + size
        if body.startswith(b"\r\n", start):
            start += 2
        elif body.startswith(b"\n", start):
            start += 1
    return b"".join(parts)
