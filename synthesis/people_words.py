"""Words about people's skin, hair, gender, age and race in English texts, as MTCIR's makers left such texts out
(CoLLM, arXiv 2503.19910).

Whole words count, and only where they speak of a person: `black` is a colour until it stands before one (`a black man`)
or says what one is (`the man is black`); `girl` is no person in `a girl dress`, `hair` is a ware in `hair dryer` and an
animal's in `dog hair`, `old` says nothing of a car, `Asian` nothing of a cuisine. The words lie in `people_words.yaml`,
with a version. Other languages are not read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, get_args

import yaml

PeopleKind = Literal["skin", "hair", "gender", "age", "race"]
KINDS: tuple[PeopleKind, ...] = get_args(PeopleKind)

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*['’]?|[.,;:!?()\"“”…/|\n—–]")
_CLAUSE_END = frozenset('.,;:!?()"“”…/|\n—–')
#: Plurals that own something name a size or a section: `men's shoes`, `the girls' room`.
_OF_MANY = frozenset("men women boys girls ladies gentlemen children kids babies toddlers mens womens teens".split())
_IS = frozenset("is are was were looks appears being".split())
_MORE = frozenset("very more much quite so rather now also and not".split())
#: Words between a word of `near` and its person, and between a trait and the person behind it.
_NEAR, _BETWEEN = 4, 3


#: How a phrase counts (`_Clause` has a method of each), and the phrase.
_Rule = tuple[str, tuple[str, ...]]
_MODES = ("always", "near", "before", "before_sure", "noun", "alone")


@dataclass(frozen=True)
class PeopleWords:
    """The word lists, read from the package."""

    version: int
    sets: Mapping[str, frozenset[str]]
    harmless: tuple[tuple[str, ...], ...]
    #: Kind → first word → rules, longer phrases first.
    rules: Mapping[str, Mapping[str, Sequence[_Rule]]]


@lru_cache(maxsize=1)
def people_words() -> PeopleWords:
    """The word lists of this version of the package."""
    data = yaml.safe_load(files("synthesis").joinpath("people_words.yaml").read_text(encoding="utf-8"))
    names = ("persons", "perhaps", "owners", "things", "others", "between", "stops", "starts")
    rules = {kind: _by_first_word(own) for kind, own in data["rules"].items()}
    sets = {name: frozenset(data[name].split()) for name in names}
    return PeopleWords(data["version"], sets, _phrases(data["harmless"]), rules)


def _by_first_word(own: Mapping[str, Any]) -> dict[str, list[_Rule]]:
    found: dict[str, list[_Rule]] = {}
    for mode in _MODES:
        for phrase in _phrases(own.get(mode)):
            found.setdefault(phrase[0], []).append((mode, phrase))
    return {word: sorted(rules, key=lambda rule: -len(rule[1])) for word, rules in found.items()}


def _phrases(given: Any) -> tuple[tuple[str, ...], ...]:
    """A text of words, or a list of phrases, longest first."""
    found = given.split() if isinstance(given, str) else given or ()
    return tuple(sorted((tuple(one.split()) for one in found), key=lambda one: (-len(one), one)))


def people_words_in(text: str, kinds: Collection[str] = KINDS) -> tuple[str, str] | None:
    """The kind of the first words about people in a text, and these words; None where there are none."""
    lists = people_words()
    for words in _clauses(text, lists):
        clause = _Clause(words, lists)
        for kind in KINDS:
            if kind in kinds and (found := clause.said(lists.rules[kind])):
                return kind, found
    return None


def _clauses(text: str, lists: PeopleWords) -> Iterator[list[str]]:
    """Words in lower case without possessive endings, clause by clause; a harmless phrase becomes one unknown word."""
    clause: list[str] = []
    for sign in [*_TOKEN.findall(text.lower().replace("’", "'")), "."]:
        if sign not in _CLAUSE_END:
            clause.append(_bare(sign))
        elif clause:
            yield _without_harmless(clause, lists.harmless)
            clause = []


def _bare(word: str) -> str:
    bare = word.removesuffix("'").removesuffix("'s")
    return f"{bare}'s" if bare in _OF_MANY and (bare != word or bare.endswith("ns")) else bare


@lru_cache(maxsize=1)
def _first_words(phrases: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    return frozenset(phrase[0] for phrase in phrases)


def _without_harmless(words: list[str], harmless: tuple[tuple[str, ...], ...]) -> list[str]:
    if not any(word in _first_words(harmless) for word in words):
        return words
    kept: list[str] = []
    at = 0
    while at < len(words):
        phrase = next((one for one in harmless if tuple(words[at : at + len(one)]) == one), None)
        kept.append(words[at] if phrase is None else "_")
        at += 1 if phrase is None else len(phrase)
    return kept


class _Clause:
    """The words of one clause, and what of them is a person."""

    def __init__(self, words: list[str], lists: PeopleWords) -> None:
        self._words, self._sets = words, lists.sets

    def said(self, rules: Mapping[str, Sequence[_Rule]]) -> str | None:
        """The first words by which the clause speaks of people in one way."""
        for at, word in enumerate(self._words):
            for mode, phrase in rules.get(word, ()):
                end = at + len(phrase)
                if tuple(self._words[at:end]) == phrase and self._counts(mode, at, end):
                    return " ".join(phrase)
        return None

    def _counts(self, mode: str, start: int, end: int) -> bool:
        if mode == "always":
            return self._always(start, end)
        if mode == "near":
            return self._near(start, end)
        if mode in ("before", "before_sure"):
            return self._before(start, end, sure=mode == "before_sure")
        return self._is_no_ware(start) if mode == "noun" else self._stands_alone(start)

    def _word(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""

    def _is(self, at: int, *names: str) -> bool:
        return any(self._word(at) in self._sets[name] for name in names)

    def _is_no_ware(self, at: int) -> bool:
        return not self._is(at + 1, "things", "others")

    def _is_person(self, at: int, sure: bool) -> bool:
        return self._is(at, *(("persons",) if sure else ("persons", "perhaps"))) and self._is_no_ware(at)

    def _always(self, start: int, end: int) -> bool:
        """Unless it is an animal's or a plant's, or the name of a ware."""
        of = self._word(end) == "of" and any(self._is(at, "others") for at in range(end + 1, end + 4))
        return self._is_no_ware(end - 1) and not self._is(start - 1, "others") and not of

    def _near(self, start: int, end: int) -> bool:
        around = [*range(start - _NEAR, start), *range(end, end + _NEAR)]
        close = any(self._is_person(at, sure=False) or self._is(at, "owners") for at in around)
        return close and self._always(start, end)

    def _before(self, start: int, end: int, sure: bool) -> bool:
        """Before a person, or said of one at the end of the clause."""
        for at in range(end, end + _BETWEEN + 1):
            if self._is_person(at, sure):
                return True
            if not self._is(at, "between"):
                break
        if end < len(self._words):
            return False
        at = start - 1
        while self._word(at) in _MORE:
            at -= 1
        return self._word(at) in _IS and any(
            self._is_person(one, sure=True) or self._word(one) in ("he", "she", "they") for one in range(at - 3, at)
        )

    def _stands_alone(self, at: int) -> bool:
        """A noun of its own, not part of the name of something else: behind an article, before a verb or the end."""
        after = self._word(at + 1)
        ends = not after or self._is(at + 1, "stops", "persons") or after.endswith("ing")
        return ends and (at == 0 or self._is(at - 1, "starts")) and self._is_no_ware(at)
