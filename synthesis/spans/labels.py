"""Short titles of pictures: what one is, and how two of them make an instruction."""

from __future__ import annotations

from collections.abc import Sequence

from synthesis.spans.lexicon import (
    DETERMINERS,
    FUNCTION_WORDS,
    GENERIC,
    JOINTS,
    PARTICLES,
    POINTERS,
    PREPOSITIONS,
    SAMPLES,
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
    number,
    participle,
    plural,
    telling,
)
from synthesis.spans.pieces import Piece
from synthesis.spans.saying import Saying
from synthesis.words import content_words

#: Words of a label, at most.
_LONGEST = 5


def label(tokens: Sequence[str]) -> bool:
    """Whether tokens are a short title of a picture: no sentence, no order, nothing cut off."""
    lowered = [token.lower().rstrip(",") for token in tokens]
    return (
        0 < len(tokens) <= _LONGEST
        and not any(word in VERBS or word in POINTERS for word in lowered)
        and lowered[0] not in JOINTS | DETERMINERS
        and (lowered[-1] not in FUNCTION_WORDS or (len(tokens) > 1 and lowered[-1] in PARTICLES))
        and sum(word in JOINTS for word in lowered[:-1]) <= 1
        and lowered[1:2] != ["to"]
        and not any(debris(token) or token.endswith(",") for token in tokens)
        and any(sign.isalpha() for sign in lowered[0])
        and not (gerund(tokens) or deed(tokens) or counted(tokens))
    )


def one_label(pieces: Sequence[Piece]) -> bool:
    """Whether pieces are one label, or one with another in brackets; a preposition may open what is added."""
    if len(pieces) == 2 and pieces[1].mark == "(":
        return all(label(piece.tokens) for piece in pieces) and sum(len(piece.tokens) for piece in pieces) <= _LONGEST
    return len(pieces) == 1 and (label(pieces[0].tokens) or pieces[0].tokens[0].lower() in PREPOSITIONS)


def opened(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Without "example of a", or "example" at the end."""
    lowered = [token.lower() for token in tokens]
    if len(tokens) > 2 and lowered[0] in GENERIC and lowered[1] in {"of", "for"}:
        return tokens[3:] if lowered[2] in DETERMINERS else tokens[2:]
    if len(tokens) > 1 and lowered[0] in SAMPLES:
        return tokens[1:]
    return tokens[:-1] if len(tokens) > 1 and lowered[-1] in SAMPLES else tokens


def bracketed(pieces: Sequence[Piece]) -> str:
    """A label with what stands in brackets behind it."""
    return pieces[0].text + "".join(f" ({piece.text})" for piece in pieces[1:])


def heading(tokens: Sequence[str]) -> bool:
    """Whether all words have capitals: then a capital tells no name."""
    return all(token[:1].isupper() for token in tokens if token.isalpha() and token.lower() not in FUNCTION_WORDS)


def manner(tokens: Sequence[str]) -> bool:
    """Whether tokens say something of a thing before them: "covered by fog"."""
    return tokens[0].lower() in PREPOSITIONS or participle(tokens, 0)


def without_measures(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Without numbers at the end, where words tell the two apart as well."""

    def bare(tokens: tuple[str, ...]) -> tuple[str, ...]:
        while len(tokens) > 1 and measure(tokens[-1].lower()):
            tokens = tokens[:-1]
        return tokens

    short = bare(old), bare(new)
    return short if telling(" ".join(short[1]), content_words(" ".join(short[0]))) else (old, new)


def swap(old: str, new: str, alike: bool) -> list[Saying]:
    """From the one label to the other; those that may be verbs or qualities get no "show" before them."""
    tokens = new.split()
    last = tokens[-1].lower()
    category = "attribute" if alike else None
    named = len(tokens) > 1 or names_noun(last) or plural(last)
    if named and names_noun(last) and not doing(tokens):
        return [Saying("nouns", new, old, category=category)]
    before = old.split()
    plain = all(not any(token.lower() in FUNCTION_WORDS for token in one) for one in (tokens, before))
    quality = any(act(one) or names_quality(one[-1].lower()) or doing(one) for one in (tokens, before))
    if not plain and not alike:
        # What each shows is a sentence of its own.
        return []
    if sum(token[:1].isupper() for token in tokens) > 1 and plain:
        return [Saying("titles", new, old, category=category)]
    if not alike and len(tokens) > 1 and (quality or plural(last)):
        return []
    if alike or quality or plural(last) or plural(before[-1].lower()):
        return [Saying("swaps", new, old, category=category)]
    return [Saying("others", new, old)]


def versions(new: Sequence[str], alike: bool) -> list[Saying]:
    """ "the … version", of pictures that look alike."""
    last = new[-1].lower()
    fits = (
        len(new) <= 3
        and not (len(new) == 1 and doing(new))
        and not any(token.lower() in FUNCTION_WORDS for token in new)
        and not plural(last)
    )
    return [Saying("versions", " ".join(new), category="attribute")] if alike and fits else []


def says(text: str) -> bool:
    """Whether a span tells of something beside its neighbours."""
    return bool(telling(text, set())) or any(number(word) for word in content_words(text))


def act(tokens: Sequence[str]) -> bool:
    """Whether tokens name an operation and nothing else."""
    return len(tokens) == 1 and names_action(tokens[0].lower())
