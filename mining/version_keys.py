"""Templates of addresses: what two versions of one picture share, and in what they differ.

An address is cut into words. For each word that says which version it is (a language, a state, a season, a number …)
the rest is a template, and the word the value in it. Images that share a template and differ in the value are versions
of one thing in this one respect.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from mining.version_tokens import (
    Kind,
    Word,
    is_region,
    language_code,
    name_words,
    size_words,
    without_sizes,
    word_kinds,
)
from mining.version_words import (
    AMBIGUOUS_CODES,
    LANGUAGE_PARAMETERS,
    LANGUAGE_WORDS,
    PLAIN_NAMES,
    SIZE_PARAMETERS,
    SIZES,
)

#: Longest value in characters; a longer one is no version's name.
MAX_VALUE = 40
#: Second word of a template in which images meet by their place on parallel pages alone.
PLACE = "place"
_MAX_TEMPLATE = 160
_MAX_NUMBERS = 3
_MAX_VARIANT_WORDS = 3
_RELEASE = re.compile(r"v?\d+(?:\.\d+)+|v\d+|latest|stable|nightly|devel|dev|master|main", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_PLAIN_ENDS = tuple(sorted(name for name in PLAIN_NAMES if len(name) >= 3))


@dataclass(frozen=True, slots=True)
class Version:
    """A value in a template of one kind. `template` is what the other versions share, at most 160 characters."""

    kind: Kind
    template: str
    value: str

    @property
    def key(self) -> str:
        """Kind and template in one text."""
        return f"{self.kind}:{self.template}"


def address_versions(url: str, site: str) -> list[Version]:
    """What the address of an image says of its version, each kind and template once, in the order of the address.

    `site`: where templates may meet (registrable domain).
    """
    parts = _parts(url)
    if parts is None:
        return []
    folders, stem, query, host = parts
    size = size_words(stem)
    stem = without_sizes(stem)
    found: list[Version] = []

    def add(kind: Kind, template: str, value: str) -> None:
        if len(value) <= MAX_VALUE:
            found.append(Version(kind, _bounded(f"{site} /{template}"), value))

    for kind, slotted, value in _folder_slots(folders):
        add(kind, f"{slotted}/{stem}{query}", value)
    where = "/".join(folders)
    for kind, slotted, value in _name_slots(stem):
        add(kind, f"{where}/{slotted}{query}", value)
    for language, others in _query_language(url):
        add("language", f"{where}/{stem}{others}?{{language}}", language)
    if host is not None:
        add("language", f"{{language}}.{where}/{stem}{query}", host)
    add("size", f"{where}/{stem}{query}", size[:MAX_VALUE] or "plain")
    return list(dict.fromkeys(found))


def page_versions(page_url: str, site: str, image_url: str, position: int) -> list[Version]:
    """Languages and releases of the page on which an image stands: parallel pages show parallel pictures, which meet
    by their file name or by their place on the page."""
    parts = _parts(page_url)
    image = _parts(image_url)
    if parts is None:
        return []
    folders, stem, query, host = parts
    slots: list[tuple[Kind, str, str]] = []
    for kind, slotted, value in _folder_slots(folders):
        if kind in ("language", "release"):
            slots.append((kind, f"{slotted}/{stem}{query}", value))
    where = "/".join(folders)
    for kind, slotted, value in _name_slots(stem):
        if kind == "language":
            slots.append((kind, f"{where}/{slotted}{query}", value))
    slots += [("language", f"{where}/{stem}{others}?{{}}", value) for value, others in _query_language(page_url)]
    if host is not None:
        slots.append(("language", f"{{}}.{where}/{stem}{query}", host))
    name = _without_language(without_sizes(image[1])) if image is not None else ""
    found = []
    for kind, template, value in slots:
        found.append(Version(kind, _bounded(f"{site} {PLACE} {position} {template}"), value))
        if name:
            found.append(Version(kind, _bounded(f"{site} page {name} {template}"), value))
    return list(dict.fromkeys(found))


def alternate_versions(
    own_language: str | None, own: str, alternates: Sequence[tuple[str, str]], position: int
) -> list[Version]:
    """Languages of a page by its `hreflang` alternates ((language, address) each), for the image at a place on it.

    Pages that name one another meet under the least of their addresses; `x-default` names no language.
    """
    languages = {address: language_code(language) for language, address in alternates}
    value = languages.get(own) or (own_language and language_code(own_language))
    others = [address for address, language in languages.items() if language is not None]
    if not value or not any(address != own for address in others):
        return []
    return [Version("language", _bounded(f"alternates {PLACE} {position} {min([own, *others])}"), value)]


def _parts(url: str) -> tuple[list[str], str, str, str | None] | None:
    """Folders, file name without ending, query without sizes and languages, language by host; None for no address."""
    try:
        split = urlsplit(url)
        host = (split.hostname or "").lower()
    except ValueError:
        return None
    if split.scheme not in ("http", "https"):
        return None
    segments = unquote(split.path).split("/")[1:]
    stem = segments.pop() if segments else ""
    stem = stem.rpartition(".")[0] or stem
    query = "".join(f"&{name}={value}" for name, value in _parameters(split.query) if name not in LANGUAGE_PARAMETERS)
    label = host.partition(".")[0]
    language = label if host.count(".") >= 2 and len(label) == 2 and label in LANGUAGE_WORDS else None
    return segments, stem, query, language


def _parameters(query: str) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in parse_qsl(query) if name.lower() not in SIZE_PARAMETERS)


def _query_language(url: str) -> Iterator[tuple[str, str]]:
    """The language that the query names, and the rest of the query."""
    parameters = _parameters(urlsplit(url).query)
    for name, value in parameters:
        language = language_code(value) if name.lower() in LANGUAGE_PARAMETERS else None
        if language is not None:
            yield language, "".join(f"&{other}={text}" for other, text in parameters if other != name)
            return


def _folder_slots(folders: Sequence[str]) -> Iterator[tuple[Kind, str, str]]:
    """Kind, folders with a slot, value: for each folder that is a version as a whole; the last two of any name."""
    for index, folder in enumerate(folders):
        lower = folder.lower()
        kinds: list[tuple[Kind, str, str]] = []
        language = language_code(lower)
        if language is not None:
            kinds.append(("language", language, ""))
        elif _RELEASE.fullmatch(lower):
            kinds.append(("release", lower, ""))
        elif _YEAR.fullmatch(lower):
            kinds.append(("year", lower, ""))
        else:
            kinds += word_kinds(lower)
            if not kinds and index >= len(folders) - 2 and lower:
                kinds.append(("folder", lower, ""))
        for kind, value, group in kinds:
            yield kind, "/".join([*folders[:index], f"{{{kind}{group}}}", *folders[index + 1 :]]), value


def _name_slots(stem: str) -> Iterator[tuple[Kind, str, str]]:
    """Kind, file name with a slot, value: for each word that says a version, and for its last words as a variant."""
    words = name_words(stem)
    numbers = 0
    # "archiveimg12", "snap3": the file's number, not the picture's.
    named = any(len(word.text) >= 3 and not word.text.lower().endswith(_PLAIN_ENDS) for word in words if _tells(word))
    for index, word in enumerate(words):
        lower = word.text.lower()

        def slotted(kind: str, start: int = word.start, end: int = word.end) -> str:
            return f"{stem[:start]}{{{kind}}}{stem[end:]}".lower()

        if lower.isdecimal():
            numbers += 1
            if _YEAR.fullmatch(lower):
                yield "year", slotted("year"), lower
            elif len(lower) <= 4 and numbers <= _MAX_NUMBERS:
                kind: Kind = "step" if named else "counter"
                yield kind, slotted(kind), str(int(lower))
            continue
        language = language_code(lower) if word.alone else None
        # "pt-BR": the region belongs to the language.
        last = index + (index == len(words) - 2 and words[-1].alone and is_region(words[-1].text))
        at_an_end = index == 0 or last == len(words) - 1
        is_code = len(lower) > 2 or (at_an_end and (lower not in AMBIGUOUS_CODES or index > 0))
        if language is not None and len(words) > 1 and is_code:
            yield "language", slotted("language", end=words[last].end), language
        for kind, value, group in word_kinds(lower):
            yield kind, slotted(f"{kind}{group}"), value
    yield from _variants(stem, words)


def _tells(word: Word) -> bool:
    return not word.text.isdecimal() and word.text.lower() not in SIZES


def _variants(stem: str, words: Sequence[Word]) -> Iterator[tuple[Kind, str, str]]:
    """The name as the plain one, and with its last words taken off as a variant of the shorter one."""
    for kept in range(max(1, len(words) - _MAX_VARIANT_WORDS), len(words) + 1):
        base = words[:kept]
        if kept < len(words) and not words[kept - 1].end < words[kept].start:
            # "mode1" and "CameraFront" are one word with a number or a state, which have kinds of their own.
            continue
        telling = [word for word in base if not word.text.isdecimal() and word.text.lower() not in PLAIN_NAMES]
        if not any(len(word.text) >= 3 for word in telling):
            continue
        rest = " ".join(word.text.lower() for word in words[kept:])
        if rest.replace(" ", "").isdecimal():
            continue
        yield "variant", f"{stem[: base[-1].end].lower()}{{variant}}", rest


def _without_language(stem: str) -> str:
    """A file name with a slot for its language, so that names of two languages are one."""
    for kind, slotted, _ in _name_slots(stem):
        if kind == "language":
            return slotted
    return stem.lower()


def _bounded(template: str) -> str:
    """A template in lower case, of 160 characters at most: the end of a longer one is a digest."""
    template = template.lower()
    if len(template) <= _MAX_TEMPLATE:
        return template
    return f"{template[:120]}…{hashlib.sha256(template.encode()).hexdigest()[:32]}"
