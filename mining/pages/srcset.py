"""The `srcset` attribute, as the HTML standard parses it."""

from __future__ import annotations

import re

_CANDIDATE = re.compile(r"[\s,]*([^\s,](?:[^\s]*[^\s,])?)(,|\s+[^,(]*(?:\([^)]*\)[^,(]*)*,?|\s*$)")
_DESCRIPTOR = re.compile(r"(\d+(?:\.\d+)?)([wx])")


def parse_srcset(text: str, limit: int = 1000) -> list[tuple[str, float]]:
    """The first `limit` addresses with their size, in document order: width in pixels for `w`, density × 1000 for `x`
    and for none."""
    found: list[tuple[str, float]] = []
    position = 0
    while position < len(text) and len(found) < limit and (candidate := _CANDIDATE.match(text, position)):
        position = max(candidate.end(), position + 1)
        address, rest = candidate[1], candidate[2].strip().rstrip(",")
        descriptor = _DESCRIPTOR.fullmatch(rest.split()[0]) if rest else None
        size = 1000.0
        if descriptor is not None:
            size = float(descriptor[1]) * (1000.0 if descriptor[2] == "x" else 1.0)
        found.append((address, size))
    return found
