"""C2PA manifest stores put together by hand after ISO/IEC 19566-5 and C2PA 2.1, and the files that carry them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_TAIL = bytes.fromhex("00110010800000aa00389b71")


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def superbox(kind: bytes, label: str, *inner: bytes) -> bytes:
    return box(b"jumb", box(b"jumd", kind + _TAIL + b"\x03" + label.encode() + b"\0") + b"".join(inner))


def cbor(value: Any, open_end: bool = False) -> bytes:
    """RFC 8949 of maps, lists, texts, byte strings and numbers; `open_end` leaves lengths of collections unknown."""

    def head(major: int, number: int) -> bytes:
        if number < 24:
            return bytes([major << 5 | number])
        return bytes([major << 5 | 25]) + struct.pack(">H", number)

    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    parts = [one for pair in value.items() for one in pair] if isinstance(value, dict) else value
    major = 5 if isinstance(value, dict) else 4
    body = b"".join(cbor(one, open_end) for one in parts)
    return bytes([major << 5 | 31]) + body + b"\xff" if open_end else head(major, len(value)) + body


def action(name: str, source: str | None = None) -> dict[str, Any]:
    return {"action": name, "when": "2026"} | ({"digitalSourceType": _VOCABULARY + source} if source else {})


def manifest(
    *actions: dict[str, Any],
    generator: str = "a camera/1.0",
    label: str = "urn:c2pa:1",
    json: bytes | None = None,
    open_end: bool = False,
) -> bytes:
    """One manifest with a thumbnail, its actions, a JSON assertion where one is given, and a claim."""
    said = superbox(b"cbor", "c2pa.actions.v2", box(b"cbor", cbor({"actions": list(actions)}, open_end)))
    parts = [superbox(b"\x40\xcb\x0c\x32", "c2pa.thumbnail.claim.jpeg", box(b"bidb", bytes(2000))), said]
    if json is not None:
        parts.append(superbox(b"json", "stds.schema-org.CreativeWork", box(b"json", json)))
    claim = {"claim_generator_info": [{"name": generator, "version": "1"}], "alg": "sha256", "hash": bytes(32)}
    inside = superbox(b"c2as", "c2pa.assertions", *parts), superbox(b"c2cl", "c2pa.claim.v2", box(b"cbor", cbor(claim)))
    return superbox(b"c2ma", label, *inside, superbox(b"c2cs", "c2pa.signature", box(b"cbor", cbor(bytes(64)))))


def store(*manifests: bytes) -> bytes:
    """A manifest store; the last manifest is the active one."""
    return superbox(b"c2pa", "c2pa", *manifests)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def in_jpeg(file: bytes, held: bytes, size: int = 60_000) -> bytes:
    """The store in APP11 segments of at most so many bytes, behind the start of image; the box's head in each."""
    parts = [held[at : at + size] for at in range(8, len(held), size)]
    segments = [
        segment(0xEB, b"JP" + struct.pack(">HI", 7, number) + held[:8] + part) for number, part in enumerate(parts, 1)
    ]
    return file[:2] + b"".join(segments) + file[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def in_png(file: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Chunks behind the header of a PNG."""
    return file[:33] + b"".join(chunk(*one) for one in chunks) + file[33:]


def in_webp(file: bytes, kind: bytes, body: bytes) -> bytes:
    """A chunk at the end of a WebP file."""
    more = kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return file[:4] + struct.pack("<I", len(file) - 8 + len(more)) + file[8:] + more
