"""What two short texts do not share: "circular projection" and "fisheye projection" differ in one word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthesis.spans.labels import (
    bracketed,
    heading,
    label,
    manner,
    one_label,
    opened,
    says,
    swap,
    versions,
    without_measures,
)
from synthesis.spans.lexicon import (
    COUNTED,
    DETERMINERS,
    FUNCTION_WORDS,
    GENERIC,
    JOINTS,
    ORIGINS,
    PARTICLES,
    PARTS,
    PREPOSITIONS,
    SIDES,
    STATES,
    article,
    doing,
    measure,
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


def contrasts(query: Sequence[Piece], target: Sequence[Piece], title: set[str], alike: bool) -> list[Saying]:
    """Ways to lead from the label `query` to the label `target`; none where one of them is no label, or where they do
    not differ in words. `title`: content words of the page's title."""
    turned = _turned(query, target, alike)
    if turned:
        return turned
    keys = {piece.key for piece in query}, {piece.key for piece in target}
    old = [replace(piece, tokens=opened(piece.tokens)) for piece in query if piece.key not in keys[1]]
    new = [replace(piece, tokens=opened(piece.tokens)) for piece in target if piece.key not in keys[0]]
    shared = len(old) < len(query)
    if not new:
        return _removal(target, old) if alike and shared else []
    valued = _valued(query, old, new) if alike and shared else []
    if valued:
        return valued
    if not one_label(new):
        return []
    section = new[0].mark == ":"
    if not old and shared:
        return _addition((), new[0].tokens, not section, alike)
    if not one_label(old):
        return []
    if len(new) == 1 and len(old) == 1:
        found = _differing(old[0].tokens, new[0].tokens, shared, title, alike)
        # "Search: Advanced" names a part of a program, and no version of a picture.
        return [saying for saying in found if not (section and saying.family == "versions")]
    return swap(bracketed(old), bracketed(new), alike) if telling(bracketed(new), set()) else []


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
    old, new = without_measures(old, new)
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
    if lead and manner(new[lead:]):
        # "bridge covered by ice": captions know what is said of the same thing.
        return []
    if rest and rest[0].lower() in JOINTS and gone:
        # "temperature over time": what comes behind needs no saying.
        return _differing(old[: len(old) - tail], new[: len(new) - tail], True, title, alike)
    found: list[Saying] = []
    if rest and (heading(old) == heading(new) or not rest[-1].istitle()):
        found = _heads(gone, come, rest)
    elif lead and not rest:
        kept = content_words(" ".join(new[:lead])) - title and len(new) <= 4 and new[lead - 1].lower() not in JOINTS
        found = [] if kept and not number(come[-1].lower()) else _led(new[:lead], gone, come, alike)
    return found or _whole(old, new, shared or bool(lead and not rest), title, alike)


def _heads(gone: Sequence[str], come: Sequence[str], rest: Sequence[str]) -> list[Saying]:
    """The same noun with other words before it."""
    rest = rest[: next((i for i, token in enumerate(rest) if token.lower() in JOINTS), len(rest))]
    clear = bool(rest) and not any(token.lower() in FUNCTION_WORDS for token in (*gone, *come, *rest))
    if not clear or len(rest) > 3 or not 0 < len(come) <= 3 or len(gone) > 3 or not says(" ".join(come)):
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
        return swap(" ".join(gone), " ".join(come), alike)
    if last in DETERMINERS or any(token.lower() in PARTICLES for token in come) or gone[0].lower() in FUNCTION_WORDS:
        return []
    if not label(come) or not label(gone) or not says(" ".join(come)):
        return []
    found = swap(" ".join(gone), " ".join(come), alike)
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
        found = swap(before, text, alike)
    return [*found, *versions(new, alike)]
