"""Telling an image by its first bytes, whatever its headers say."""

from __future__ import annotations

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xffO\xffQ", "image/j2k"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
)
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic"} | dict.fromkeys(
    (b"hevc", b"mif1", b"msf1", b"heim", b"heis"), "image/heif"
)
#: What may stand before the root element of an SVG file, and where each ends.
_PROLOGUE = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!doctype", b">"))
_SVG_HEAD = 8192


def image_type(body: bytes) -> str | None:
    """The media type of an image file by its magic bytes; None for what is no image."""
    for magic, kind in _MAGIC:
        if body.startswith(magic):
            return kind
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    # Two letters are weak evidence: a bitmap's four reserved bytes are zero and its header has a known size.
    if body[:2] == b"BM" and body[6:10] == b"\0\0\0\0" and body[14:18] in _BITMAP_HEADERS:
        return "image/bmp"
    if body[4:8] == b"ftyp":
        return _BRANDS.get(body[8:12])
    return "image/svg+xml" if _is_svg(body[:_SVG_HEAD]) else None


def _is_svg(head: bytes) -> bool:
    rest = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    while rest.startswith(b"<"):
        for start, end in _PROLOGUE:
            if rest.startswith(start):
                # A document type may hold declarations of its own, in brackets.
                stop = b"]>" if start == b"<!doctype" and b"[" in rest.partition(b">")[0] else end
                rest = rest.partition(stop)[2].lstrip()
                break
        else:
            return rest.startswith((b"<svg>", b"<svg ", b"<svg\n", b"<svg\r", b"<svg\t", b"<svg:svg"))
    return False


_BITMAP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124))
