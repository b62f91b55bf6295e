"""The things that texts name, and how usual it is that the things of two texts stand together in a corpus.

IMAGINATOR (arXiv 2305.10438) describes objects by the objects that they stand with, weighed by pointwise mutual
information. Here the corpus is the crawl, and things stand together if the texts of images of one page name them.
Pages are counted and not images: a page that names a thing forty times says no more of what belongs together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from mining.scores.scene_graphs import scene_graph

#: Things of one text and of one page that are counted: a page gives at most 496 pairs of things.
TEXT_THINGS, PAGE_THINGS = 12, 32
#: Pages' worth of evidence that pull a rare thing towards "nothing known" (0).
SMOOTHING = 2.0
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class ThingCounts:
    """Pages of a corpus, pages that name each thing, and pages that name both of a pair (smaller name first).

    Where `pairs` lacks a pair of known things, no page names both.
    """

    pages: int = 0
    things: Mapping[str, int] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)


def things(text: str | None) -> tuple[str, ...]:
    """The things that a text names (the last words of its phrases, in their base form), distinct, in the text's order,
    at most `TEXT_THINGS`; numbers and single letters are none."""
    names = (one.name for one in scene_graph(text).objects)
    return tuple(dict.fromkeys(name for name in names if _is_thing(name)))[:TEXT_THINGS]


def page_things(texts: Iterable[str | None]) -> tuple[str, ...]:
    """The things of one page, sorted: the `PAGE_THINGS` that most of its distinct texts name, ties by name."""
    said = Counter(thing for text in set(texts) for thing in things(text))
    return tuple(sorted(sorted(said, key=lambda thing: (-said[thing], thing))[:PAGE_THINGS]))


def pairs_of(named: Sequence[str]) -> Iterable[tuple[str, str]]:
    """The pairs of a page's sorted things, smaller name first."""
    return combinations(named, 2)


def pair_key(one: str, other: str) -> tuple[str, str]:
    """Two things in the order in which pairs are counted."""
    return (one, other) if one < other else (other, one)


def needed_pairs(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of unlike things that `pmi` of two texts looks at, sorted and distinct."""
    return sorted({pair_key(one, other) for one in first for other in second if one != other})


def count_things(pages: Iterable[Iterable[str | None]]) -> ThingCounts:
    """Counts over pages, each the texts of its images. What the index step `thing_counts` computes for a crawl."""
    total = 0
    named: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    for texts in pages:
        on_page = page_things(texts)
        total += 1
        named.update(on_page)
        together.update(pairs_of(on_page))
    return ThingCounts(total, named, together)


def pmi(
    first_things: Sequence[str], second_things: Sequence[str], counts: ThingCounts, same_page: bool = False
) -> float | None:
    """How usual it is that the things of two texts stand together: the mean of `normalised_pmi` over their pairs of
    unlike things, -1 (never) … 0 (as chance would have it, or unknown) … 1 (always), rounded to 4 decimals.

    `same_page`: both texts stand on one page, which is then left out of the counts: it would vouch for its own pairs.
    None where no pair of unlike things is known in the corpus.
    """
    own = int(same_page)
    pages = counts.pages - own
    scores = []
    for one, other in needed_pairs(first_things, second_things):
        with_one, with_other = counts.things.get(one, 0) - own, counts.things.get(other, 0) - own
        if with_one > 0 and with_other > 0:
            both = max(counts.pairs.get((one, other), 0) - own, 0)
            scores.append(normalised_pmi(both, with_one, with_other, pages))
    return round(math.fsum(scores) / len(scores), DECIMALS) if scores else None


def normalised_pmi(both: int, one: int, other: int, pages: int) -> float:
    """Normalised pointwise mutual information (Bouma 2009) of two things, in [-1, 1].

    `both` of `pages` pages name both, `one` and `other` each. The joint probability is smoothed by `SMOOTHING` pages
    on which the things stand together by chance, so that a pair that was never seen has a finite value, and rare things
    are discounted (Pantel and Lin 2002), since chance makes them look inseparable. Raises ValueError on counts that
    cannot be.
    """
    if not 0 <= both <= min(one, other) or max(one, other) > pages or min(one, other) < 1:
        raise ValueError(f"{both} of {one} and {other} of {pages} pages cannot be counts of two things")
    chance = (one / pages) * (other / pages)
    joint = (both + SMOOTHING * chance) / (pages + SMOOTHING)
    if joint >= 1.0:
        return 0.0
    score = math.log(joint / chance) / -math.log(joint)
    rarer = min(one, other)
    return max(-1.0, min(1.0, score * rarer / (rarer + SMOOTHING)))


def _is_thing(name: str) -> bool:
    return sum(sign.isalpha() for sign in name) > 1
