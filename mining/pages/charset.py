"""A page's bytes to text: charset from the byte order mark, the header, `<meta>`, then detection."""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import EncodingDetector, map_encoding_to_html5

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"""<meta[^>]{0,512}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""\s{0,99}<\?xml[^>]{0,512}?encoding\s*=\s*["']([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_META_BYTES = 4096
_DETECT_BYTES = 64 << 10


def decode_page(body: bytes, content_type: str | None) -> tuple[str, str]:
    """Text and the name of the encoding it was decoded with (WHATWG); undecodable bytes become U+FFFD."""
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace"), name
    stated = [found[1] for found in (_HEADER.search(content_type or ""),) if found]
    meta = _META.search(body[:_META_BYTES])
    if meta:
        name = meta[1].decode("ascii")
        # A page that could be read up to here is no UTF-16, whatever it says.
        stated.append("utf-8" if name.lower().startswith("utf-16") else name)
    elif declaration := _XML.match(body[:_META_BYTES]):
        stated.append(declaration[1].decode("ascii"))
    for name in stated:
        encoding = _known(name)
        if encoding is not None:
            return body.decode(encoding, "replace"), encoding
    try:
        # A body may be cut in the middle of a character.
        return codecs.getincrementaldecoder("utf-8")().decode(body), "utf-8"
    except UnicodeDecodeError:
        detector = EncodingDetector()
        detector.update(body[:_DETECT_BYTES])
        encoding = _known(detector.encoding() or "windows-1252") or "windows-1252"
        return body.decode(encoding, "replace"), encoding


def _known(name: str) -> str | None:
    """The encoding that browsers take a label for, if Python has it."""
    mapped = map_encoding_to_html5(name, fallback_utf8=False) or ""
    try:
        codecs.lookup(mapped)
    except LookupError:
        return None
    return mapped
