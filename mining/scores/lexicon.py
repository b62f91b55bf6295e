"""The closed classes of English words that phrases end at, common verbs of what pictures show, and base forms.

Small on purpose: a word that stands nowhere here is a noun or what stands before one, and that is right for most words
of alternative texts and captions.
"""

from __future__ import annotations

import re
from functools import lru_cache

DETERMINERS = frozenset(
    (
        "a an the this that these those some any each every all both another other several many few more most its "
        "his her their our your my such"
    ).split()
)
PREPOSITIONS = frozenset(
    (
        "in on at of with without by for from to into onto over under above below behind beside between among near "
        "through across along around against inside outside within upon beneath underneath before after during until "
        "via per as like than about toward towards off out past beyond versus vs up down"
    ).split()
)
#: Prepositions of several words, longest first, as one.
LONG_PREPOSITIONS = (
    (("in", "front", "of"), "before"),
    (("on", "top", "of"), "on"),
    (("on", "the", "left", "of"), "left of"),
    (("on", "the", "right", "of"), "right of"),
    (("to", "the", "left", "of"), "left of"),
    (("to", "the", "right", "of"), "right of"),
    (("next", "to"), "beside"),
    (("close", "to"), "near"),
    (("instead", "of"), "instead of"),
    (("out", "of"), "from"),
    (("because", "of"), "because of"),
)
CONJUNCTIONS = frozenset("and or but nor while & plus".split())
COPULAE = frozenset("is are was were be been being isn't aren't wasn't weren't it's looks look becomes appears".split())
#: Words that carry no thing and end a phrase.
SKIPPED = frozenset(
    (
        "i you he she it we they them him us me who whom which what where when how why there here not can could will "
        "would should may might must do does did has have had very too also just only so then if let's please don't "
        "same"
    ).split()
)
NUMBERS = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
#: Adjectives that may be joined before a noun ("red and white shirt") or said of it ("the shirt is red").
ADJECTIVES = frozenset(
    (
        "red green blue yellow orange purple violet pink brown black white grey gray golden silver beige dark light "
        "bright pale big small large little tall short long wide narrow high low old new young modern ancient round "
        "square flat thick thin open closed empty full wet dry hot cold warm wooden metal stone plastic glass leather "
        "striped dotted plain shiny dirty clean soft hard left right upper lower front back sunny cloudy snowy foggy "
        "male female beautiful simple artificial transparent blurred sharp"
    ).split()
)
#: Orders with which instructions and titles begin.
ORDERS = frozenset(
    (
        "make change add remove replace turn show put keep give create use find see move set define select choose "
        "draw paint open close import export edit delete insert rotate scale resize crop swap place take have"
    ).split()
)
_VERBS = (
    "sit stand lie lay hold wear ride play eat drink run walk jump fly swim drive carry pull push throw catch hit kick "
    "look watch face hang lean lead feed cut cook read write talk smile sleep rest wait cross climb cover contain "
    "surround show display depict feature fill use make open close touch point reach follow chase perform pose grow "
    "float sail park connect rotate replace remove add contain include"
)
_IRREGULAR_VERBS = {
    "sat": "sit", "stood": "stand", "lying": "lie", "laid": "lay", "held": "hold", "wore": "wear", "worn": "wear",
    "rode": "ride", "ridden": "ride", "ate": "eat", "eaten": "eat", "drank": "drink", "ran": "run", "flew": "fly",
    "swam": "swim", "drove": "drive", "driven": "drive", "threw": "throw", "thrown": "throw", "caught": "catch",
    "hung": "hang", "led": "lead", "fed": "feed", "wrote": "write", "written": "write", "slept": "sleep",
    "made": "make", "grew": "grow", "grown": "grow", "shown": "show", "seen": "see", "taken": "take", "built": "build",
}  # fmt: skip
_IRREGULAR_NOUNS = {
    "men": "man", "women": "woman", "people": "person", "children": "child", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "leaves": "leaf", "knives": "knife", "wolves": "wolf", "shelves": "shelf",
    "halves": "half", "lives": "life", "loaves": "loaf", "vertices": "vertex", "matrices": "matrix", "axes": "axis",
    "indices": "index", "analyses": "analysis", "movies": "movie", "cookies": "cookie", "pies": "pie", "ties": "tie",
    "shoes": "shoe", "lenses": "lens", "buses": "bus", "gases": "gas", "canvases": "canvas",
}  # fmt: skip
_NO_PLURALS = frozenset(
    "lens canvas gas news series species atlas bias chaos christmas texas paris always perhaps mathematics".split()
)
_ES = re.compile(r"(?:ss|x|ch|sh|zz)es$")


@lru_cache(maxsize=1 << 14)
def noun_base(word: str) -> str:
    """A noun (in lower case) without its plural: `cities` → `city`; other words as they are."""
    known = _IRREGULAR_NOUNS.get(word)
    if known is not None:
        return known
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")) or word in _NO_PLURALS:
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    return word[:-2] if _ES.search(word) else word[:-1]


@lru_cache(maxsize=1 << 14)
def participle_base(word: str) -> str | None:
    """The base of a word that has the form of a participle: `riding` → `ride`, `painted` → `paint`; None for others."""
    if word in VERB_FORMS:
        return VERB_FORMS[word] if word.endswith(("ing", "ed")) or word in _IRREGULAR_VERBS else None
    for ending in ("ing", "ed"):
        stem = word[: -len(ending)]
        if word.endswith(ending) and len(stem) > 2 and any(vowel in stem for vowel in "aeiouy"):
            doubled = len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz"
            return stem[:-1] if doubled else stem
    return None


def _forms(verb: str) -> list[str]:
    ies = verb.endswith("y") and verb[-2] not in "aeiou"
    third = verb[:-1] + "ies" if ies else verb + "es" if verb.endswith(("ss", "x", "ch", "sh")) else verb + "s"
    if verb.endswith("e"):
        return [third, verb[:-1] + "ing", verb + "d"]
    short = len(verb) < 5 and verb[-1] not in "aeiouwxy" and verb[-2] in "aeiou" and verb[-3:-2] not in tuple("aeiou")
    stem = verb + verb[-1] if short else verb
    return [third, stem + "ing", (verb[:-1] + "ied") if ies else stem + "ed"]


BASE_VERBS = frozenset(_VERBS.split())
#: Forms of common verbs but the base itself → the base.
VERB_FORMS = {
    form: verb for verb in _VERBS.split() for form in _forms(verb) if form not in ADJECTIVES
} | _IRREGULAR_VERBS
