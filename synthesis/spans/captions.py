"""Spans of a text that says what a picture shows, whatever is said of the other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthesis.spans.labels import label, versions
from synthesis.spans.lexicon import (
    DETERMINERS,
    FUNCTION_WORDS,
    GENERIC,
    JOINTS,
    ORIGINS,
    PARTICLES,
    PARTS,
    POINTERS,
    PREPOSITIONS,
    SAMPLES,
    SIDES,
    STATES,
    TIMES,
    VERBS,
    counted,
    debris,
    deed,
    doing,
    gerund,
    measure,
    names_action,
    names_noun,
    names_quality,
    participle,
    plural,
    telling,
    year,
)
from synthesis.spans.pieces import Piece
from synthesis.spans.saying import Saying
from synthesis.words import content_words, words

#: Words of a span, at most, and of one that is not cut.
_LONGEST = 12


def captions(query: Sequence[Piece], target: Sequence[Piece], title: set[str], alike: bool) -> list[Saying]:
    """What may be said of the target: a manner of what both texts name, or the thing that it shows. `title`: content
    words of the page's title, which tell no picture from its neighbours."""
    known = content_words(" ".join(piece.text for piece in query))
    if len(target) == 1 and _original(target[0]):
        return _origin(query, target[0], alike)
    for index, piece in enumerate(target):
        if piece.mark == ".":
            break
        manner = _manner(piece.tokens, query, index > 0, alike)
        if manner is not None:
            return [manner]
        if telling(piece.text, known):
            # What stands behind something known says no more than half.
            return [] if index else _owned(query, _thing(piece, target[1:], known, title, alike))
    return []


def _owned(query: Sequence[Piece], found: list[Saying]) -> list[Saying]:
    """A part is "its engine" where the query names a thing in two words or more; after one word, or many
    things, it is a heading."""
    if query and len(query[0].tokens) > 1 and not plural(query[0].tokens[-1].lower()):
        return found
    return [replace(saying, family="things") if saying.family == "parts" else saying for saying in found]


def _original(piece: Piece) -> bool:
    lowered = [token.lower() for token in piece.tokens]
    return (
        len(lowered) <= 3 and any(word in ORIGINS for word in lowered) and set(lowered) <= ORIGINS | GENERIC | {"the"}
    )


def _origin(query: Sequence[Piece], target: Piece, alike: bool) -> list[Saying]:
    """Back to what all others were made of."""
    if not alike:
        return []
    state = next(token for token in target.tokens if token.lower() in ORIGINS)
    found = [Saying("origins", state, category="attribute")]
    if len(query) == 1 and label(query[0].tokens) and len(query[0].tokens) <= 3:
        found.append(Saying("undone", state, query[0].text, category="attribute"))
    return found


def _manner(tokens: Sequence[str], query: Sequence[Piece], aside: bool, alike: bool) -> Saying | None:
    """Something of the same thing: "covered by fog", behind words that both texts share."""
    known = content_words(" ".join(piece.text for piece in query))
    start = _subject_end(tokens)
    subject = content_words(" ".join(tokens[:start]))
    rest = tokens[start:]
    if start == 0 and rest and rest[0].lower() not in PREPOSITIONS:
        return None
    if not 1 < len(rest) <= 9 or not subject <= known | GENERIC or not (subject & known or aside or alike):
        return None
    text = " ".join(rest)
    dated = len(rest) == 2 and rest[0].lower() in {"in", "from"} and year(rest[1]) and rest[1] not in known
    if not dated and not (telling(text, known) and _sound(rest)):
        return None
    lead = [token for token in tokens[:start] if token.lower() not in DETERMINERS]
    same = alike or bool(content_words(text) & TIMES)
    if lead and not (same and any(content_words(_subject(piece)) == subject for piece in query)):
        # Another one of its kind, rather than the same.
        if len(lead) > 3 or any(token.lower() in FUNCTION_WORDS | GENERIC for token in lead):
            return None
        return Saying("leads", text, tail=" ".join(lead))
    if not (same or aside):
        return None
    placed = bool(content_words(text) & TIMES) and bool(subject & known or aside)
    return Saying("times" if placed else "manners", text, category="attribute")


def _subject_end(tokens: Sequence[str]) -> int:
    """Where what is named ends, and what is said of it begins."""
    end = 0
    while end < len(tokens) and not (tokens[end].lower() in PREPOSITIONS or participle(tokens, end)):
        end += 1
    return end


def _subject(piece: Piece) -> str:
    return " ".join(piece.tokens[: _subject_end(piece.tokens)])


def _thing(piece: Piece, following: Sequence[Piece], known: set[str], title: set[str], alike: bool) -> list[Saying]:
    """The thing that a target shows."""
    if _half(piece, following):
        return []
    tokens = _measured(_cut(_opening(piece.tokens)), known)
    if not tokens or not _sound(tokens):
        return []
    text = " ".join(tokens)
    if following and following[0].mark == "(" and len(tokens) < 4:
        if not label(following[0].tokens) or not telling(following[0].text, set()):
            return []
        text = f"{text} ({following[0].text})"
    if not telling(text, known) or not telling(text, title):
        return []
    return _phrased(tokens, text, piece, alike)


def _half(piece: Piece, following: Sequence[Piece]) -> bool:
    """Whether a piece is half of "Chicago River - Gamma", which would fit its neighbours, or of "Data, Fit"."""
    size = {"-": 4, ":": 4, ",": 3}.get(following[0].mark, 0) if following else 0
    return len(piece.tokens) < size


def _phrased(tokens: Sequence[str], text: str, piece: Piece, alike: bool) -> list[Saying]:
    """A span by what it opens with."""
    lowered = [token.lower() for token in tokens]
    found: list[Saying] = []
    if lowered[0] in PREPOSITIONS:
        found = [Saying("ones", _opened(tokens))] if len(tokens) > 2 or label(tokens[1:]) else []
    elif lowered[:2] == ["how", "to"]:
        found = [Saying("deeds", _opened(tokens[2:]))] if len(tokens) > 3 else []
    elif lowered[0] in JOINTS | {"how", "why", "what"} or lowered[1:2] == ["to"]:
        found = []
    elif gerund(tokens):
        found = [Saying("gerunds", _opened(tokens))]
    elif deed(tokens):
        found = [Saying("deeds", _opened(tokens))]
    elif lowered[0] in DETERMINERS:
        found = [Saying("bare", text)] if len(tokens) > 1 else []
    elif doing(tokens) and len(tokens) > 1 and (piece.heading or plural(lowered[1]) or counted(tokens[1:])):
        found = [Saying("doings", _opened(tokens))]
    elif counted(tokens) or piece.name:
        found = [Saying("bare", text)]
    else:
        found = _named(tokens, text, piece, alike)
    return found


def _named(tokens: Sequence[str], text: str, piece: Piece, alike: bool) -> list[Saying]:
    """A title without an article."""
    lowered = [token.lower() for token in tokens]
    if len(tokens) == 1:
        word = lowered[0]
        if word in PARTS:
            return [Saying("parts", text.lower())]
        if word in STATES or names_action(word) or names_quality(word) or not word.isalpha() or len(word) < 4:
            return versions(tokens, alike)
    elif lowered[-1] in STATES:
        return []
    if len(tokens) == 2 and lowered[0] in SIDES and lowered[1] in {"view", "side"}:
        return [Saying("parts", text.lower(), category="viewpoint")]
    end = next((i for i in range(1, len(tokens)) if lowered[i] in JOINTS or _described(lowered, i)), len(tokens))
    head = (words(tokens[end - 1]) or [""])[0]
    found = [Saying("things", text)]
    mass = any(plural(word) or names_noun(word) or word.endswith("ing") for word in (head, lowered[0]))
    if 1 < end < len(tokens) and not mass and not piece.heading and lowered[0] not in STATES and "(" not in text:
        found.append(Saying("articles", text))
    return found


def _opened(tokens: Sequence[str]) -> str:
    """What opens with a verb loses the capital of a heading."""
    return " ".join([tokens[0].lower(), *tokens[1:]])


def _described(lowered: Sequence[str], index: int) -> bool:
    """Whether a thing ends before "covered by": words on -ing may be things themselves."""
    return participle(lowered, index) and not lowered[index].endswith("ing")


def _opening(tokens: Sequence[str]) -> Sequence[str]:
    """Without "example of": what is left names the thing."""
    lowered = [token.lower() for token in tokens]
    if len(tokens) > 2 and lowered[0] in GENERIC and lowered[1] in {"of", "for"}:
        return tokens[2:]
    if len(tokens) > 3 and lowered[0] in DETERMINERS and lowered[1] in GENERIC and lowered[2] in {"of", "for"}:
        return tokens[3:]
    return tokens


def _measured(tokens: Sequence[str], known: set[str]) -> Sequence[str]:
    """Without numbers and "example" at the end, where the words before them tell enough."""
    end = len(tokens)
    while end > 1 and (measure(tokens[end - 1].lower()) or tokens[end - 1].lower() in SAMPLES):
        end -= 1
    return tokens[:end] if telling(" ".join(tokens[:end]), known) and tokens[end - 1].lower() not in JOINTS else tokens


def _cut(tokens: Sequence[str]) -> Sequence[str]:
    """Whole, or up to the last joint that leaves a span of the longest length."""
    if len(tokens) <= _LONGEST:
        return tokens
    for end in range(_LONGEST, 3, -1):
        if tokens[end].lower() in JOINTS - {"and", "or", "of", "to"} or participle(tokens, end):
            return tokens[:end]
    return ()


def _sound(tokens: Sequence[str]) -> bool:
    """Whether tokens are one phrase: no sentence, nothing that points at the page or its reader, nothing cut off."""
    lowered = [token.lower().rstrip(",") for token in tokens]
    return (
        not any(word in VERBS or word in POINTERS for word in lowered)
        and not any(debris(token) for token in tokens)
        and (lowered[-1] not in FUNCTION_WORDS or (len(tokens) > 1 and lowered[-1] in PARTICLES))
        and any(sign.isalpha() for sign in lowered[0])
        and sum(any(map(str.isdigit, word)) for word in lowered) * 2 <= len(lowered)
    )
