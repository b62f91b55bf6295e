"""Undoing `Content-Encoding` within a byte limit."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import brotli  # type: ignore[import-untyped]
from fastwarc.stream_io import ZstdReader

#: Codings that one answer may stack; more is an attack or an accident.
_MAX_CODINGS = 2
_GZIP, _ZLIB, _RAW = 31, 15, -15


class TooLargeError(Exception):
    """The decoded body is longer than the limit."""


class BadCodingError(Exception):
    """A coding that is unknown, or a body that is not what its coding says."""


def decode_content(body: bytes, codings: Sequence[str], limit: int, *, truncate: bool = False) -> tuple[bytes, bool]:
    """Undo the codings of the `Content-Encoding` headers, last one first: the body, and whether it was cut.

    `limit` is in bytes and holds for every layer; with `truncate` a longer body is cut there instead of raising
    TooLargeError. BadCodingError for unknown codings and broken or unfinished streams."""
    names = [name.strip().lower() for value in codings for name in value.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _MAX_CODINGS:
        raise BadCodingError(f"{len(names)} content codings")
    cut = False
    for name in reversed(names):
        # A cut outer layer leaves an unfinished inner one, which is then no error.
        body, cut_here = _undo(name, body, limit, truncate and cut)
        cut = cut or cut_here
        if cut and not truncate:
            raise TooLargeError(f"more than {limit} bytes after {name}")
    return body, cut


def _undo(name: str, body: bytes, limit: int, unfinished: bool) -> tuple[bytes, bool]:
    if not body:
        return b"", False
    try:
        if name in ("gzip", "x-gzip"):
            return _inflate(body, _GZIP, limit, unfinished)
        if name == "deflate":
            # The standard says zlib; some servers send bare deflate, and the first byte tells them apart.
            return _inflate(body, _ZLIB if body[0] & 0x0F == 8 else _RAW, limit, unfinished)
        if name == "br":
            return _unbrotli(body, limit, unfinished)
        if name == "zstd":
            return _unzstd(body, limit, unfinished)
    except (zlib.error, brotli.error) as error:
        raise BadCodingError(f"{name}: {error}") from error
    raise BadCodingError(f"content coding {name[:40]!r}")


def _inflate(body: bytes, window: int, limit: int, unfinished: bool) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    size = 0
    while body:
        decoder = zlib.decompressobj(window)
        # One byte over the limit is enough to know.
        part = decoder.decompress(body, limit + 1 - size)
        parts.append(part)
        size += len(part)
        if size > limit:
            return b"".join(parts)[:limit], True
        if not decoder.eof:
            if unfinished:
                break
            raise BadCodingError("the compressed body ends early")
        body = decoder.unused_data
        if window != _GZIP or not body.startswith(b"\x1f\x8b"):
            # Padding after the stream is common and harmless.
            break
    return b"".join(parts), False


def _unbrotli(body: bytes, limit: int, unfinished: bool) -> tuple[bytes, bool]:
    decoder = brotli.Decompressor()
    parts = [decoder.process(body, output_buffer_limit=limit + 1)]
    size = len(parts[0])
    while size <= limit and not decoder.is_finished() and not decoder.can_accept_more_data():
        part = decoder.process(b"", output_buffer_limit=limit + 1 - size)
        parts.append(part)
        size += len(part)
    if size > limit:
        return b"".join(parts)[:limit], True
    if not decoder.is_finished() and not unfinished:
        raise BadCodingError("the compressed body ends early")
    return b"".join(parts), False


def _unzstd(body: bytes, limit: int, unfinished: bool) -> tuple[bytes, bool]:
    reader = ZstdReader(io.BytesIO(body))
    parts: list[bytes] = []
    size = 0
    try:
        while size <= limit and (part := reader.read(min(1 << 16, limit + 1 - size))):
            parts.append(part)
            size += len(part)
    except OSError as error:
        if not unfinished:
            raise BadCodingError(f"zstd: {error}") from error
    return b"".join(parts)[:limit], size > limit
