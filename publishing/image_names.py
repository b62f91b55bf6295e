"""File names of published images: the image's id and the extension that its first bytes tell."""

from __future__ import annotations

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (0, b"GIF8", ".gif"),
    (8, b"WEBP", ".webp"),
    (4, b"ftypavif", ".avif"),
    (0, b"BM", ".bmp"),
    (0, b"II*\x00", ".tif"),
    (0, b"MM\x00*", ".tif"),
    (0, b"\x00\x00\x01\x00", ".ico"),
)


def extension(data: bytes) -> str:
    """`.jpg`, `.png`, … by the file's signature, `.img` where none is known."""
    for offset, signature, suffix in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return suffix
    return ".img"


def image_name(image_id: str, data: bytes) -> str:
    """Name under which an image is published and exported, such as `0a1b….jpg`."""
    return image_id + extension(data)
