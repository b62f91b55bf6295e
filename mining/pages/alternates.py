"""The other languages of a page, as it states them: `<link rel="alternate" hreflang>` and HTTP `Link` headers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mining.pages.addresses import BadAddressError, resolve
from mining.pages.met import Met

#: Alternates of one page at most; the largest real ones have some two hundred.
MAX_ALTERNATES = 300
_LANGUAGE = re.compile(r"x-default|[a-z]{2,3}(?:-[a-z0-9]{2,8})*", re.IGNORECASE)
#: RFC 8288: `<address>; name=value; name="value", <address> …`. An address may hold commas and semicolons.
_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[\w*!#$&+.^`|~-]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s\",;]*))?)*)")
_PARAMETER = re.compile(r";\s*([\w*!#$&+.^`|~-]+)\s*=\s*(?:\"([^\"]*)\"|([^\s\",;]*))")


def page_alternates(base: str, met: Met, link_headers: Sequence[str]) -> list[tuple[str, str]]:
    """(language, address) of each `hreflang` alternate, in the order of the page, then of the headers, each once and
    300 at most. Languages are lower-case codes ("de", "pt-br", "x-default"), addresses resolved against `base`;
    what is no address or no language is left out.
    """
    found: dict[tuple[str, str], None] = {}
    for language, reference in (*_of_markup(met), *_of_headers(link_headers)):
        if len(found) == MAX_ALTERNATES:
            break
        if _LANGUAGE.fullmatch(language):
            try:
                found[language.lower(), resolve(base, reference)] = None
            except BadAddressError:
                continue
    return list(found)


def _of_markup(met: Met) -> Iterator[tuple[str, str]]:
    for tag, node in met:
        if tag == "link":
            attributes = node.attributes
            if "alternate" in (attributes.get("rel") or "").lower().split():
                yield (attributes.get("hreflang") or "").strip(), (attributes.get("href") or "").strip()


def _of_headers(headers: Sequence[str]) -> Iterator[tuple[str, str]]:
    for header in headers:
        for link in _LINK.finditer(header):
            # Of a parameter that is given twice the first counts.
            parameters: dict[str, str] = {}
            for name, quoted, bare in _PARAMETER.findall(link[2]):
                parameters.setdefault(name.lower(), quoted or bare)
            if "alternate" in parameters.get("rel", "").lower().split():
                yield parameters.get("hreflang", "").strip(), link[1].strip()
