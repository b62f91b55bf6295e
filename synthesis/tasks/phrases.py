"""Phrases of a text that may stand in an instruction, and what each can be introduced by.

No tagger is needed: a closed list of function words tells where a phrase may begin and end, and the words that both
texts share tell whether a phrase names another thing or says something of the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from synthesis.words import STOP_WORDS, content_words, words

#: Words of a phrase, at most.
LONGEST = 6

_BREAKS = re.compile(r"\s+[-–—|·•>+~*]+\s+|[:;|()\[\]{}<>=/\\\"“”„«»`®]+|(?<=[\w'’)])[.,!?…]+(?:\s+|$)|\s*,\s+")
#: Who made a picture is not what it shows.
_CREDIT = re.compile(
    r"(?:©|\(c\)|\bcourtesy of\b|\bcopyright\b|\b(?:photos?|images?|pictures?) by\b|\bcredits?:).*", re.I | re.S
)
_QUOTES = ".'’‘`´!?*,–—-_&+#"
_PREPOSITIONS = frozenset(
    "in on at with without from under over after before during by near through using behind above below between "
    "inside outside against along across around beside beneath towards toward among within via while as".split()
)
_JOINTS = frozenset("and or but of for to that which who whose where when than nor vs".split()) | _PREPOSITIONS
_DETERMINERS = frozenset("a an the this that these those its his her their our your my some any each every".split())
_VERBS = frozenset("is are was were be been being has have had does do did can could will would may might must".split())
#: A phrase that begins behind one of these says the opposite of the text.
_NEGATIONS = frozenset("no not non never without nor neither minus lacking".split())
#: At the end of a phrase these belong to it ("edge out"); a preposition at its end is cut off.
_PARTICLES = frozenset("out in off up down on over".split())
_FUNCTION_WORDS = _JOINTS | _DETERMINERS | _VERBS
_PARTICIPLE = re.compile(r"^[a-z]{3,}(?:ed|ing)$")
#: "Show the … version" and nothing else fits these.
_STATES = frozenset(
    "original default normal final finished unmodified raw plain modified untouched uncompressed initial unedited "
    "edited".split()
)
#: What says nothing of a picture beside its neighbours.
_GENERIC = frozenset(
    "example examples result results output input overview introduction more details detail untitled test sample "
    "figure page file click link courtesy permission copyright credit credits photographer author".split()
)
#: Names of operations rather than of things ("sharpen", "solarize").
_VERB_END = re.compile(r"(?:\w{4,}i[sz]e|ify|rpen|thicken|ighten|ilate|rode|plode)$")
_NOUN_END = re.compile(r"(?:tion|sion|ment|ness|ity|ism|ance|ence|ure|graphy|ogram|meter|scope)s?$")
_TIMES = frozenset(
    "morning evening night noon midday midnight day daylight dawn dusk sunset sunrise winter summer spring autumn fall "
    "snow rain fog mist storm sunlight moonlight january february march april june july august september october "
    "november december today flood construction".split()
)


class Kind(StrEnum):
    """What a phrase is to the query image."""

    THING = "thing"
    """Names what the target shows: "Show the …"."""
    MANNER = "manner"
    """Says something of the same thing, beginning with a preposition or participle: "Show it …"."""
    TRAIT = "trait"
    """A title of a variant of the same thing: "Show it with …", "Show the … version"."""


@dataclass(frozen=True)
class Phrase:
    """Consecutive words of a text. `head`, `plural`, `noun`, `act` tell of its head, as far as letters do; `state`: it
    begins with a word such as "original"; `aside`: it stands behind a break, or is two names; `time`: it says when."""

    text: str
    kind: Kind
    plural: bool = False
    noun: bool = True
    act: bool = False
    state: bool = False
    aside: bool = False
    time: bool = False
    head: str = ""


def phrases(query: str, target: str, alike: bool) -> list[Phrase]:
    """The phrases of `target` that hold a content word that `query` lacks, in the order of the text, longer ones
    first. `alike`: the images look alike, so that a title of the target is a trait of the same thing.

    Where something is said of the same thing, phrases that name another one are left out.
    """
    known = content_words(query)
    found: dict[str, Phrase] = {}
    before: set[str] = set()
    for segment in segments(target):
        for start, end in _windows(segment, known):
            run = segment[start:end]
            new = content_words(" ".join(run)) - known
            if not _tells(new) or any(_debris(token) for token in run):
                continue
            subject = before | content_words(" ".join(segment[:start]))
            named = subject or content_words(run[0]) & known
            phrase = _phrase(run, subject <= known and bool(named or alike), end == len(segment), bool(before))
            if phrase is not None:
                found.setdefault(phrase.text, phrase)
        before |= content_words(" ".join(segment))
    same = [one for one in found.values() if one.kind is not Kind.THING]
    # Of a variant's title the words that both share need no saying: "label" of "montage label". What a preposition
    # belongs to is no title: "winter" of "in winter".
    titles = tuple(f" {one.text}" for one in same if one.kind is Kind.TRAIT)
    manners = [f"{one.text} " for one in same if one.kind is Kind.MANNER]
    said = [
        one
        for one in same
        if one.kind is Kind.MANNER
        or not (one.text.endswith(titles) or any(f" {one.text} " in manner for manner in manners))
    ]
    return said or list(found.values())


def segments(text: str) -> list[list[str]]:
    """A text as runs of tokens between its breaks (punctuation, dashes, brackets), in the spelling that a phrase has:
    capitals of headings and of first words are lowered, those of names within a sentence stay."""
    result = []
    for part in _BREAKS.split(_CREDIT.sub("", text)):
        tokens = [token.strip(_QUOTES) or ("&" if token == "&" else "") for token in part.split()]
        tokens = [token for token in tokens if token]
        if not tokens:
            continue
        weighty = [token for token in tokens if token.isalpha() and token.lower() not in _FUNCTION_WORDS]
        heading = bool(weighty) and all(token[:1].isupper() for token in weighty)
        result.append(
            [
                _lowered(token) if heading or index == 0 or token.lower() in _FUNCTION_WORDS else token
                for index, token in enumerate(tokens)
            ]
        )
    return result


def _lowered(token: str) -> str:
    """Acronyms, model numbers and inner capitals keep theirs."""
    return token.lower() if token[1:].islower() or (len(token) == 1 and token.isalpha()) else token


def _windows(segment: Sequence[str], known: set[str]) -> Iterator[tuple[int, int]]:
    """Where phrases of a segment may begin and end, longer ones first."""
    size = len(segment)
    lead, passed = 0, known | _GENERIC
    while lead < size and segment[lead].lower() not in _FUNCTION_WORDS and content_words(segment[lead]) <= passed:
        lead += 1
    for length in range(min(LONGEST, size), 0, -1):
        for start in range(size - length + 1):
            if _opens(segment, start, lead) and _closes(segment, start + length):
                yield start, start + length


def _opens(segment: Sequence[str], start: int, lead: int) -> bool:
    token = segment[start].lower()
    before = start - 1
    while before >= 0 and segment[before].lower() in _DETERMINERS:
        before -= 1
    if before >= 0 and segment[before].lower() in _NEGATIONS:
        return False
    if token == "no" or token in _PREPOSITIONS or _participle(segment, start):
        return start + 1 < len(segment)
    if token in STOP_WORDS or token in _FUNCTION_WORDS or token in _GENERIC or not words(token):
        return False
    # After "to" there may be a verb.
    return start in (0, lead) or segment[start - 1].lower() in _FUNCTION_WORDS - {"to"}


def _closes(segment: Sequence[str], end: int) -> bool:
    last = segment[end - 1].lower()
    if end == len(segment) and end > 1 and last in _PARTICLES:
        return True
    if last in STOP_WORDS or last in _FUNCTION_WORDS or not words(last):
        return False
    return (
        end == len(segment) or segment[end].lower() in (_JOINTS | _VERBS) - {"and", "or"} or _participle(segment, end)
    )


def _participle(segment: Sequence[str], index: int) -> bool:
    """Whether "covered by …" or "sitting on …" begins here."""
    following = segment[index + 1].lower() if index + 1 < len(segment) else ""
    return bool(_PARTICIPLE.match(segment[index])) and following in _PREPOSITIONS


def _tells(new: set[str]) -> bool:
    """Whether new words are more than numbers, measures and words of any page."""
    return any(
        word not in _GENERIC and (not any(map(str.isdigit, word)) or sum(map(str.isalpha, word)) > 2) for word in new
    )


def _debris(token: str) -> bool:
    """Pieces of file names, addresses and machine names."""
    digits = sum(sign.isdigit() for sign in token)
    return (
        len(token) > 28
        or "@" in token
        or "://" in token
        or token.count("_") > 1
        or (digits > 3 and len(token) > digits and not token.rstrip("s").isdigit())
        or bool(re.search(r"\.(?:[a-z]{2,4}\d?)$", token, re.IGNORECASE) and not token.endswith(".js"))
    )


def _phrase(run: Sequence[str], same: bool, whole: bool, aside: bool) -> Phrase | None:
    text = " ".join(run)
    lowered = [token.lower() for token in run]
    if lowered[0] in _PREPOSITIONS or _participle(run, 0):
        return Phrase(text, Kind.MANNER, time=bool(content_words(text) & _TIMES)) if same else None
    ends = (i for i in range(1, len(run)) if lowered[i] in _JOINTS - {"and", "or"} or _participle(run, i))
    head = run[next(ends, len(run)) - 1]
    if not words(head):
        return None
    word = words(head)[0]
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "ous"))
    titled = whole and len(run) <= 3 and not any(token in _JOINTS - _PARTICLES for token in lowered)
    return Phrase(
        text,
        Kind.TRAIT if same and titled else Kind.THING,
        plural=plural,
        noun=plural or len(run) > 1 or bool(_NOUN_END.search(word)),
        act=len(run) == 1 and bool(_VERB_END.search(word)),
        state=lowered[0] in _STATES,
        aside=aside or "&" in run,
        head=word,
    )
