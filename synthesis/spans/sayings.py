"""The instructions that may be made for a pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

import yaml

from schemas.ids import digest
from synthesis.spans.captions import captions
from synthesis.spans.contrast import contrasts
from synthesis.spans.file_names import plausible
from synthesis.spans.lexicon import ORIGINS, article, spoken
from synthesis.spans.pieces import Piece, code, pieces
from synthesis.spans.saying import Saying
from synthesis.words import content_words, words

#: Ways to introduce a span that are offered for it, of those that fit.
_OFFERED = 2


@dataclass(frozen=True)
class Described:
    """What is known of a pair. `query`, `target`: texts of the page, "" without one. `query_name`, `target_name`: the
    words of their files' names, in lower case. `target_file`: the target's text is no more than that name. `alike`: the
    images look alike, and probably show the same thing in two states. `screens`: they show windows of programs, whose
    files are named after what the reader does."""

    title: str
    query: str
    target: str
    query_name: tuple[str, ...] = ()
    target_name: tuple[str, ...] = ()
    target_file: bool = False
    alike: bool = False
    screens: bool = False


def instructions(pair: Described) -> dict[str, Saying]:
    """Instructions that lead from the query to the target, with what they say; none where nothing is to be said, or
    not in fair English."""
    seed = (pair.query, pair.target, *pair.query_name, *pair.target_name)
    found = sayings(pair)
    if len(found) > 1 and int(digest("versions", *seed)[:8], 16) % 2:
        # Small models like "the … version" best; where more may be said it is offered to every other pair.
        found = [saying for saying in found if saying.family != "versions"]
    return {text: saying for saying in found for text in _texts(saying, seed)}


def sayings(pair: Described) -> list[Saying]:
    """What may be said."""
    found = _sayings(pair)
    if not pair.screens:
        return found
    # A window is no version of another one.
    other = [saying for saying in found if saying.family != "versions"]
    return other or [replace(saying, family="switches") for saying in found]


def _sayings(pair: Described) -> list[Saying]:
    title = content_words(pair.title)
    if not pair.target:
        return _by_names(pair, title)
    if code(pair.target) or not spoken(pair.target):
        return []
    before, after = words(pair.query), words(pair.target)
    row = pair.alike or (min(len(before), len(after)) > 1 and before[0] == after[0])
    if pair.target_file and not (row and all(map(plausible, after))):
        # Names of files are seldom made for readers: "wtorus". Of pictures that look alike they tell the difference.
        return []
    query = [] if code(pair.query) or not spoken(pair.query) else pieces(pair.query)
    target = pieces(pair.target)
    if pair.query:
        found = contrasts(query, target, title, pair.alike)
        return found or captions(query, target, title, pair.alike)
    return captions(pieces(" ".join(pair.query_name)), target, title, pair.alike)


def _by_names(pair: Described, title: set[str]) -> list[Saying]:
    """Two files of one row, whose names are alike as the pictures are."""
    old, new = pair.query_name, pair.target_name
    if not pair.alike or pair.screens or not old or not new or len(new) > 4:
        return []
    if len(new) > 1 and new[:-1] == old[: len(new) - 1] and new[-1] in {"before", "after"}:
        return [Saying(f"{new[-1]}s", new[-1], category="attribute")]
    if new[0] in ORIGINS:
        return [Saying("origins", " ".join(new), category="attribute")] if old[0] not in ORIGINS else []
    if not {*old} & {*new} and len(new) > 1:
        return []
    lead = {word for before, word in zip(old, new, strict=False) if before == word}
    return contrasts([Piece(old)], [Piece(new)], title | content_words(" ".join(lead)), True)


@lru_cache(maxsize=1)
def patterns() -> Mapping[str, Sequence[str]]:
    """Patterns by family."""
    source = files("synthesis.prompts").joinpath("span_copy.phrases.yaml").read_text(encoding="utf-8")
    loaded: Mapping[str, Sequence[str]] = yaml.safe_load(source)
    return loaded


def _texts(saying: Saying, seed: Sequence[str]) -> Iterator[str]:
    ordered = sorted(patterns()[saying.family], key=lambda pattern: digest("start", pattern, *seed))
    for pattern in ordered[:_OFFERED]:
        yield _filled(pattern, saying)


def _filled(pattern: str, saying: Saying) -> str:
    fields = {"new": saying.new, "old": saying.old, "tail": saying.tail}
    if saying.family == "articles":
        fields["new"] = f"{article(saying.new)} {saying.new}"
    return re.sub(r"\{(\w+)\}", lambda found: fields[found[1]], pattern)
