"""What an image file says of itself beside its pixels: XMP, EXIF texts, PNG texts, comments, the C2PA store.

Bytes are walked segment by segment and chunk by chunk, nothing is decoded, and everything is bounded: hostile lengths
end the walk, and packed texts are unpacked up to a budget. Containers: JPEG, PNG, WebP.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Parts of a file that are looked at; bytes of one text, of all unpacked texts of a file, of its C2PA store; tags.
_PARTS = 20_000
_TEXT = 256 << 10
_UNPACKED = 1 << 20
_STORE = 16 << 20
_ENTRIES = 512

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
#: Behind it stand 32 digits of an id, a length and an offset of 4 bytes each.
_XMP_MORE, _XMP_MORE_HEAD = b"http://ns.adobe.com/xmp/extension/\0", 40
_XMP_KEYWORD = "XML:com.adobe.xmp"
_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x9286: "UserComment",
    0x9C9C: "XPComment",
}
_EXIF_IFD = 0x8769
#: Bytes of a value of each type of TIFF that holds text: ASCII, BYTE, UNDEFINED.
_TEXT_TYPES = (1, 2, 7)


@dataclass
class ImageMetadata:
    """What was found: `texts` are (place, text), the place such as `png:parameters`, `exif:Software` or `jpeg:comment`;
    `xmp` are packets as they stand, `c2pa` is the manifest store (JUMBF boxes), empty where there is none."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    c2pa: bytes = b""
    _packed: int = _UNPACKED

    def unpacked(self, data: bytes) -> bytes:
        """zlib's text as far as the budget of the file goes, nothing where it is none."""
        limit = min(self._packed, _TEXT)
        if limit <= 0:
            return b""
        try:
            found = zlib.decompressobj().decompress(data, limit)
        except zlib.error:
            return b""
        self._packed -= len(found)
        return found


def image_metadata(data: bytes) -> ImageMetadata:
    """The metadata of an image file, empty where the container is none of those that are read; never raises."""
    found = ImageMetadata()
    if data[:3] == b"\xff\xd8\xff":
        _jpeg(data, found)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        _png(data, found)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        _webp(data, found)
    return found


def _jpeg(data: bytes, found: ImageMetadata) -> None:
    """Segments up to the first scan."""
    stores: dict[int, list[tuple[int, bytes]]] = {}
    size, at, end = 0, 2, len(data) - 4
    for _ in range(_PARTS):
        if at > end or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        length = data[at + 2] << 8 | data[at + 3]
        if marker in (0xD9, 0xDA) or length < 2:
            break
        start, at = at + 4, at + 2 + length
        if marker == 0xE1:
            _app1(data[start:at], found)
        elif marker == 0xFE:
            found.texts.append(("jpeg:comment", _decoded(data[start : min(at, start + _TEXT)])))
        elif marker == 0xEB and data[start : start + 2] == b"JP" and at - start >= 16 and size < _STORE:
            # JUMBF (ISO 19566-5, annex D): which box, which part of it, and the box's own head in every part.
            number, part, box = struct.unpack_from(">HII", data[start + 2 : start + 12].ljust(10, b"\0"))
            head = 16 if box == 1 else 8
            body = data[start + 8 : at] if part == 1 else data[start + 8 + head : at]
            stores.setdefault(number, []).append((part, body))
            size += len(body)
    for _, parts in sorted(stores.items()):
        store = b"".join(body for _, body in sorted(parts, key=lambda one: one[0]))
        if _is_store(store):
            found.c2pa = store
            break


def _app1(body: bytes, found: ImageMetadata) -> None:
    if body.startswith(_EXIF):
        found.texts += _exif(body[len(_EXIF) :])
    elif body.startswith(_XMP):
        found.xmp.append(body[len(_XMP) :])
    elif body.startswith(_XMP_MORE):
        found.xmp.append(body[len(_XMP_MORE) + _XMP_MORE_HEAD :])


def _png(data: bytes, found: ImageMetadata) -> None:
    at, end = 8, len(data) - 8
    for _ in range(_PARTS):
        if at > end:
            break
        length = int.from_bytes(data[at : at + 4])
        kind, start = data[at + 4 : at + 8], at + 8
        at = start + length + 4
        if kind == b"IEND":
            break
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            _png_text(kind, data[start : start + min(length, _TEXT)], found)
        elif kind == b"eXIf":
            found.texts += _exif(data[start : start + length])
        elif kind == b"caBX" and length <= _STORE and not found.c2pa:
            found.c2pa = data[start : start + length]


def _png_text(kind: bytes, body: bytes, found: ImageMetadata) -> None:
    keyword, _, rest = body.partition(b"\0")
    name = keyword[:79].decode("latin-1")
    if kind == b"tEXt":
        text = rest
    elif kind == b"zTXt":
        text = found.unpacked(rest[1:])
    else:
        # Two bytes on packing, then a language and the translated keyword, each ended by a null.
        parts = rest[2:].split(b"\0", 2)
        text = parts[2] if len(parts) == 3 else b""
        text = found.unpacked(text) if rest[:1] == b"\1" else text
    if name == _XMP_KEYWORD:
        found.xmp.append(text)
    else:
        found.texts.append((f"png:{name}", _decoded(text)))


def _webp(data: bytes, found: ImageMetadata) -> None:
    at, end = 12, len(data) - 8
    for _ in range(_PARTS):
        if at > end:
            break
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        start = at + 8
        at = start + length + length % 2
        if kind == b"EXIF":
            body = data[start : start + length]
            found.texts += _exif(body.removeprefix(_EXIF))
        elif kind == b"XMP ":
            found.xmp.append(data[start : start + length])
        elif kind == b"C2PA" and length <= _STORE:
            found.c2pa = data[start : start + length]


def _exif(tiff: bytes) -> list[tuple[str, str]]:
    """Texts of the first directory and of the Exif directory that it names."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return []
    texts: list[tuple[str, str]] = []
    first = struct.unpack_from(order + "I", tiff, 4)[0]
    inner = None
    for tag, value in _entries(tiff, first, order):
        if tag == _EXIF_IFD and len(value) == 4:
            inner = struct.unpack(order + "I", value)[0]
        elif tag in _TAGS:
            texts.append((f"exif:{_TAGS[tag]}", _exif_text(tag, value, order)))
    if inner is not None:
        for tag, value in _entries(tiff, inner, order):
            if tag in _TAGS:
                texts.append((f"exif:{_TAGS[tag]}", _exif_text(tag, value, order)))
    return texts


def _entries(tiff: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Tags of one directory that hold text, or the place of another directory, with their bytes."""
    if at + 2 > len(tiff):
        return
    count = min(struct.unpack_from(order + "H", tiff, at)[0], _ENTRIES, (len(tiff) - at - 2) // 12)
    for tag, kind, length, offset in struct.iter_unpack(order + "HHII", tiff[at + 2 : at + 2 + 12 * count]):
        if tag == _EXIF_IFD and kind in (4, 13):
            yield tag, struct.pack(order + "I", offset)
        elif tag in _TAGS and kind in _TEXT_TYPES:
            value = tiff[offset : offset + min(length, _TEXT)] if length > 4 else struct.pack(order + "I", offset)
            yield tag, value[:length]


def _exif_text(tag: int, value: bytes, order: str) -> str:
    if tag == 0x9C9C:
        return value.decode("utf-16-le", "replace").rstrip("\0")
    if tag != 0x9286:
        return _decoded(value)
    code, text = value[:8], value[8:]
    if code == b"UNICODE\0":
        # The standard means the file's byte order; many writers put UTF-16BE whatever that is.
        big = text[0:1] == b"\0" or (order == ">" and text[1:2] != b"\0")
        return text.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")
    return _decoded(text if code in (b"ASCII\0\0\0", bytes(8)) else value)


def _decoded(data: bytes) -> str:
    """Text of unknown encoding: UTF-8, else Latin-1."""
    try:
        return data.decode().rstrip("\0")
    except UnicodeDecodeError:
        return data.decode("latin-1").rstrip("\0")


def _is_store(data: bytes) -> bool:
    """Whether a JUMBF superbox is labelled as a C2PA manifest store."""
    return data[4:8] == b"jumb" and b"c2pa\0" in data[16:64]
