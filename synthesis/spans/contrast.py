"""What two short texts do not share: "circular projection" and "fisheye projection" differ in one word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthesis.spans.lexicon import (
    COUNTED,
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
    VERBS,
    article,
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


def contrasts(query: Sequence[Piece], target: Sequence[Piece], title: set[str], alike: bool) -> list[Saying]:
    """Ways to lead from the label `query` to the label `target`; none where one of them is no label, or where they do
    not differ in words. `title`: content words of the page's title."""
    turned = _turned(query, target, alike)
    if turned:
        return turned
    keys = {piece.key for piece in query}, {piece.key for piece in target}
    old = [replace(piece, tokens=_opened(piece.tokens)) for piece in query if piece.key not in keys[1]]
    new = [replace(piece, tokens=_opened(piece.tokens)) for piece in target if piece.key not in keys[0]]
    shared = len(old) < len(query)
    if not new:
        return _removal(target, old) if alike and shared else []
    valued = _valued(query, old, new) if alike and shared else []
    if valued:
        return valued
    if not _one_label(new):
        return []
    section = new[0].mark == ":"
    if not old and shared:
        return _addition((), new[0].tokens, not section, alike)
    if not _one_label(old):
        return []
    if len(new) == 1 and len(old) == 1:
        found = _differing(old[0].tokens, new[0].tokens, shared, title, alike)
        # "Search: Advanced" names a part of a program, and no version of a picture.
        return [saying for saying in found if not (section and saying.family == "versions")]
    return _swap(_bracketed(old), _bracketed(new), alike) if telling(_bracketed(new), set()) else []


def _turned(query: Sequence[Piece], target: Sequence[Piece], alike: bool) -> list[Saying]:
    """Before and after."""
    first = [pieces[0].key for pieces in (query, target) if pieces]
    if first == [("before",), ("after",)] or (alike and first[1:] == [("after",)] and len(target) == 1):
        return [Saying("afters", target[0].text, category="attribute")]
    if first == [("after",), ("before",)] or (alike and first[1:] == [("before",)] and len(target) == 1):
        return [Saying("befores", target[0].text, category="attribute")]
    return []


def _valued(query: Sequence[Piece], old: Sequence[Piece], new: Sequence[Piece]) -> list[Saying]:
    """A value in a piece of its own: "sigma = 0.5"."""
    if len(old) != 1 or len(new) != 1 or not all(number(one.text.lower()) for one in (*old, *new)):
        return []
    named = [piece for piece in query if piece.key != old[0].key]
    last = named[-1].tokens[-1].lower()
    if not label(named[-1].tokens) or not last.isalpha() or last in COUNTED | GENERIC:
        return []
    return [Saying("values", new[0].text, old[0].text, named[-1].text, "attribute")]


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


def _one_label(pieces: Sequence[Piece]) -> bool:
    if len(pieces) == 2 and pieces[1].mark == "(":
        return all(label(piece.tokens) for piece in pieces) and sum(len(piece.tokens) for piece in pieces) <= _LONGEST
    return len(pieces) == 1 and (label(pieces[0].tokens) or pieces[0].tokens[0].lower() in PREPOSITIONS)


def _opened(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Without "example of a", or "example" at the end."""
    lowered = [token.lower() for token in tokens]
    if len(tokens) > 2 and lowered[0] in GENERIC and lowered[1] in {"of", "for"}:
        return tokens[3:] if lowered[2] in DETERMINERS else tokens[2:]
    if len(tokens) > 1 and lowered[0] in SAMPLES:
        return tokens[1:]
    return tokens[:-1] if len(tokens) > 1 and lowered[-1] in SAMPLES else tokens


def _bracketed(pieces: Sequence[Piece]) -> str:
    return pieces[0].text + "".join(f" ({piece.text})" for piece in pieces[1:])


def _removal(target: Sequence[Piece], old: Sequence[Piece]) -> list[Saying]:
    """The target is the query without something that has a piece of its own."""
    if len(old) != 1 or old[0].mark != "-" or not label(old[0].tokens) or not telling(old[0].text, set()):
        return []
    if not label(target[0].tokens):
        return []
    return [Saying("removals", "", old[0].text, target[0].text, category="removed_object")]


def _addition(lead: Sequence[str], new: Sequence[str], apart: bool, alike: bool) -> list[Saying]:
    """The target is the query with something more: `new` behind `lead`, or in a piece of its own."""
    text = " ".join(new)
    if not telling(text, set()):
        return []
    first = new[0].lower()
    if first in PREPOSITIONS or participle(new, 0):
        if not alike or len(new) < 2 or (not label(new[1:]) and new[1].lower() not in DETERMINERS):
            return []
        found = [Saying("manners", text)]
        thing = new[-1]
        if first == "with" and len(new) == 2 and not names_quality(thing.lower()):
            many = plural(thing.lower()) or names_noun(thing.lower())
            found = [Saying("additions", thing if many else f"{article(thing)} {thing}", category="added_object")]
        return found
    if not label(new) or not alike:
        return []
    found = [Saying("switches", text, category="attribute")]
    if apart and names_noun(new[-1].lower()):
        found.append(Saying("traits", text, category="attribute"))
    return [*found, *versions(new, alike)] if apart else found


def _differing(old: tuple[str, ...], new: tuple[str, ...], shared: bool, title: set[str], alike: bool) -> list[Saying]:
    """Two pieces, compared word by word."""
    old, new = _measured(old, new)
    before, after = [token.lower() for token in old], [token.lower() for token in new]
    lead = 0
    while lead < min(len(before), len(after)) and before[lead] == after[lead]:
        lead += 1
    tail = 0
    while tail < min(len(before), len(after)) - lead and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    gone, come, rest = old[lead : len(old) - tail], new[lead : len(new) - tail], new[len(new) - tail :]
    if not come:
        return []
    if not gone and not rest:
        return _addition(new[:lead], come, False, alike)
    if lead and _manner(new[lead:]):
        # "bridge covered by ice": captions know what is said of the same thing.
        return []
    if rest and rest[0].lower() in JOINTS and gone:
        # "temperature over time": what comes behind needs no saying.
        return _differing(old[: len(old) - tail], new[: len(new) - tail], True, title, alike)
    found: list[Saying] = []
    if rest and (_heading(old) == _heading(new) or not rest[-1].istitle()):
        found = _heads(gone, come, rest)
    elif lead and not rest:
        kept = content_words(" ".join(new[:lead])) - title and len(new) <= 4 and new[lead - 1].lower() not in JOINTS
        found = [] if kept and not number(come[-1].lower()) else _led(new[:lead], gone, come, alike)
    return found or _whole(old, new, shared or bool(lead and not rest), title, alike)


def _heading(tokens: Sequence[str]) -> bool:
    """Whether all words have capitals: then a capital tells no name."""
    return all(token[:1].isupper() for token in tokens if token.isalpha() and token.lower() not in FUNCTION_WORDS)


def _manner(tokens: Sequence[str]) -> bool:
    return tokens[0].lower() in PREPOSITIONS or participle(tokens, 0)


def _measured(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Without numbers at the end, where words tell the two apart as well."""

    def bare(tokens: tuple[str, ...]) -> tuple[str, ...]:
        while len(tokens) > 1 and measure(tokens[-1].lower()):
            tokens = tokens[:-1]
        return tokens

    short = bare(old), bare(new)
    return short if telling(" ".join(short[1]), content_words(" ".join(short[0]))) else (old, new)


def _heads(gone: Sequence[str], come: Sequence[str], rest: Sequence[str]) -> list[Saying]:
    """The same noun with other words before it."""
    rest = rest[: next((i for i, token in enumerate(rest) if token.lower() in JOINTS), len(rest))]
    clear = bool(rest) and not any(token.lower() in FUNCTION_WORDS for token in (*gone, *come, *rest))
    if not clear or len(rest) > 3 or not 0 < len(come) <= 3 or len(gone) > 3 or not _says(" ".join(come)):
        return []
    if number(rest[-1].lower()) or doing(come) or doing(gone):
        # The head of "pyramid 3" and of "main window Fred" stands before its end, "browsing" before what is browsed.
        return []
    if len(come) == len(gone) == 1 and number(come[0].lower()) and number(gone[0].lower()):
        ends = plural(rest[-1].lower()) or measure(come[0].lower())
        return [Saying("amounts", come[0], gone[0], " ".join(rest), "number")] if ends else []
    category = "viewpoint" if {token.lower() for token in come} <= SIDES else None
    new, old, tail = " ".join(come), " ".join(gone), " ".join(rest)
    if not gone:
        return [Saying("kinds", new, tail=tail, category=category)]
    return [Saying("manykinds" if plural(rest[-1].lower()) else "otherkinds", new, old, tail, category)]


def _led(lead: Sequence[str], gone: Sequence[str], come: Sequence[str], alike: bool) -> list[Saying]:
    """The same beginning, and another end."""
    first, last = come[0].lower(), lead[-1].lower()
    if all(number(token.lower()) for token in (*gone, *come)):
        fits = (
            alike
            and measure(first)
            and last.isalpha()
            and len(last) > 1
            and last not in COUNTED | GENERIC | FUNCTION_WORDS
        )
        return [Saying("values", " ".join(come), " ".join(gone), lead[-1], "attribute")] if fits else []
    if last in JOINTS and first in DETERMINERS and label(come[1:]) and label(gone):
        return _swap(" ".join(gone), " ".join(come), alike)
    if last in DETERMINERS or any(token.lower() in PARTICLES for token in come) or gone[0].lower() in FUNCTION_WORDS:
        return []
    if not label(come) or not label(gone) or not _says(" ".join(come)):
        return []
    found = _swap(" ".join(gone), " ".join(come), alike)
    return found if last in JOINTS else [*found, *versions(come, alike)]


def _whole(old: Sequence[str], new: Sequence[str], shared: bool, title: set[str], alike: bool) -> list[Saying]:
    """Two labels as they are."""
    text, before = " ".join(new), " ".join(old)
    if (
        any(token.lower() in DETERMINERS for token in (*new, *old))
        or not label(new)
        or not telling(text, content_words(before))
    ):
        return []
    if not shared and not telling(text, title):
        return []
    if any(token.lower() in ORIGINS for token in new) or (len(new) == 1 and text in PARTS):
        return []
    found = []
    if label(old) and telling(before, set()):
        if set(before.lower().split()) <= STATES | GENERIC and before.lower() not in ORIGINS:
            return versions(new, alike)
        if before.lower() in ORIGINS:
            return [Saying("departures", text, before, category="attribute")] if versions(new, alike) else []
        found = _swap(before, text, alike)
    return [*found, *versions(new, alike)]


def _swap(old: str, new: str, alike: bool) -> list[Saying]:
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


def _says(text: str) -> bool:
    """Whether a span tells of something beside its neighbours."""
    return bool(telling(text, set())) or any(number(word) for word in content_words(text))


def act(tokens: Sequence[str]) -> bool:
    """Whether tokens name an operation and nothing else."""
    return len(tokens) == 1 and names_action(tokens[0].lower())
