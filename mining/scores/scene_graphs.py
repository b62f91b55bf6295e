"""Scene graphs of short texts, by rules, and how far two of them agree.

A scene graph (Johnson et al. 2015; from texts: Schuster et al. 2015) holds the things that a text names, what it says
of each, and how they stand to each other. SCENIR (arXiv 2505.15867) takes the edit distance of two such graphs as the
measure of what two images have in common. Here a phrase ends at words of the closed classes, at verbs and at marks; its
last word is the thing and the others are its attributes; prepositions and verbs between phrases are relations. That is
English word order: of other languages with blanks between words the things are found less surely, and a text in a
script without blanks has no graph.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from mining.scores.phrases import Parser

#: What is looked at of a text: characters, words, and characters of one word.
MAX_CHARACTERS, MAX_WORDS, MAX_WORD = 640, 64, 32
_TOKEN = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*|[,.;:!?()\[\]{}|/–—&\"]")
#: What encyclopedias give as the alternative text of a picture of a formula.
_FORMULA = "{\\displaystyle"
#: Scripts that put no blanks between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True, order=True)
class SceneObject:
    """A thing in its base form and what is said of it, sorted."""

    name: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class SceneRelation:
    """How one object (its number in the graph, -1 for the picture itself) stands to another."""

    subject: int
    predicate: str
    target: int


@dataclass(frozen=True, slots=True, order=True)
class SceneGraph:
    """Objects in the text's order and distinct relations, sorted."""

    objects: tuple[SceneObject, ...] = ()
    relations: tuple[SceneRelation, ...] = ()

    @property
    def size(self) -> int:
        """Objects, attributes and relations."""
        return len(self.objects) + len(self.relations) + sum(len(one.attributes) for one in self.objects)


def scene_graph(text: str | None) -> SceneGraph:
    """The scene graph of a text; empty for one that names nothing. Texts are cut at `MAX_CHARACTERS`."""
    return _graph(text[:MAX_CHARACTERS]) if text else SceneGraph()


def agreement(first: SceneGraph, second: SceneGraph) -> float | None:
    """How far two graphs agree, 0 (nothing shared) to 1 (equal), rounded to 4 decimals; None if one is empty.

    1 − d / (|first| + |second|), where d is the graph edit distance in which an object, an attribute or a relation
    is deleted or inserted at cost 1 and a word is replaced by another at cost 2: twice what the graphs share over
    their sizes (Bunke 1997). The distance itself takes exponential time. Objects are matched by an assignment that is
    exact for objects and attributes and sees of a relation what is at either end (Riesen and Bunke 2009), and the
    relations that this matching keeps are counted: exact without relations, else the agreement is at most too low.
    """
    if not first.objects or not second.objects:
        return None
    if first == second:
        return 1.0
    if second < first:
        first, second = second, first
    shared = _shared(first, second)
    return round(2 * shared / (first.size + second.size), 4)


def text_agreement(first: str | None, second: str | None) -> float | None:
    """`agreement` of the scene graphs of two texts; None without a text."""
    return agreement(scene_graph(first), scene_graph(second)) if first and second else None


def _shared(first: SceneGraph, second: SceneGraph) -> int:
    """Objects, attributes and relations that the best matching of objects keeps."""
    if _words(first).isdisjoint(_words(second)):
        return 0
    weights = [[_likeness(one, other) for other in _ends(second)] for one in _ends(first)]
    if len(weights) == 1 or len(weights[0]) == 1:
        flat = [value for row in weights for value in row]
        best = flat.index(max(flat))
        pairs = [divmod(best, len(weights[0]))]
    else:
        rows, columns = linear_sum_assignment(np.array(weights), maximize=True)
        pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    partner = {-1: -1, **dict(pairs)}
    total = 0
    for row, column in pairs:
        one, other = first.objects[row], second.objects[column]
        total += one.name == other.name
        if one.attributes and other.attributes:
            total += len(set(one.attributes).intersection(other.attributes))
    if first.relations and second.relations:
        there = {(one.subject, one.predicate, one.target) for one in second.relations}
        total += sum(
            (partner.get(one.subject), one.predicate, partner.get(one.target)) in there for one in first.relations
        )
    return total


#: An object with the ends of relations at it: (is it the subject, predicate, name at the other end).
_Ended = tuple[SceneObject, frozenset[tuple[bool, str, str]]]


@lru_cache(maxsize=1 << 14)
def _ends(graph: SceneGraph) -> tuple[_Ended, ...]:
    ends: list[set[tuple[bool, str, str]]] = [set() for _ in graph.objects]
    for one in graph.relations:
        for own, other, subject in ((one.subject, one.target, True), (one.target, one.subject, False)):
            if own >= 0:
                ends[own].add((subject, one.predicate, graph.objects[other].name if other >= 0 else ""))
    return tuple((one, frozenset(found)) for one, found in zip(graph.objects, ends, strict=True))


def _likeness(one: _Ended, other: _Ended) -> int:
    """Twice what two objects share; a relation counts half at either end."""
    (first, first_ends), (second, second_ends) = one, other
    total = 2 * (first.name == second.name)
    if first.attributes and second.attributes:
        total += 2 * len(set(first.attributes).intersection(second.attributes))
    if first_ends and second_ends:
        total += len(first_ends & second_ends)
    return total


@lru_cache(maxsize=1 << 14)
def _words(graph: SceneGraph) -> frozenset[str]:
    """All words of a graph; graphs without a common one share nothing."""
    words = {word for one in graph.objects for word in (one.name, *one.attributes)}
    return frozenset(words.union(one.predicate for one in graph.relations))


@lru_cache(maxsize=1 << 16)
def _graph(text: str) -> SceneGraph:
    if _FORMULA in text:
        return SceneGraph()
    if not text.isascii():
        text = _UNSPACED.sub(" ", unicodedata.normalize("NFKC", text)[:MAX_CHARACTERS])
    tokens = [token[:MAX_WORD] for token in _TOKEN.findall(text.casefold())[:MAX_WORDS]]
    parser = Parser(tokens)
    parser.parse()
    objects = tuple(SceneObject(name, tuple(sorted(set(said)))) for name, said in parser.objects)
    return SceneGraph(objects, tuple(sorted({SceneRelation(*one) for one in parser.relations})))
