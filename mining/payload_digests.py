"""By what revisits find their payload: its digest in one spelling, or else its address."""

from __future__ import annotations

import base64
import hashlib
import re

from mining.pages.addresses import match_key

_SHA1_HEX = re.compile(r"[0-9a-fA-F]{40}")


def payload_of(url: str) -> str:
    """What stands for the digest of a payload that is only known by its address."""
    return f"uri:{match_key(url)}"


def digest_key(stated: str | None) -> str | None:
    """A payload digest in one spelling: the algorithm in lower case, SHA-1 in Base32 however it was written."""
    algorithm, colon, value = (stated or "").partition(":")
    algorithm, value = algorithm.strip().lower(), value.strip()
    if not colon or not value:
        return None
    if algorithm == "sha1":
        value = _base32(bytes.fromhex(value)) if _SHA1_HEX.fullmatch(value) else value.upper()
    return f"{algorithm}:{value}"


def digest_of(body: bytes) -> str:
    """The payload digest that most crawlers state: SHA-1 in Base32."""
    return f"sha1:{_base32(hashlib.sha1(body).digest())}"


def _base32(digest: bytes) -> str:
    return base64.b32encode(digest).decode()
