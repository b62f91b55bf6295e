"""Captions in answers: what is none, and which of several is the best without a look at the image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from synthesis.filters import leak_in, refusal_in
from synthesis.json_answers import plain_answer, without_thoughts
from synthesis.page_text import plain
from synthesis.tasks.interface import UnparsableError
from synthesis.words import words

#: What stands before the text that was asked for: "Sure! Here is a caption for the image:".
_PREAMBLE = re.compile(
    r"\A\s*(?:(?:sure|certainly|of course|okay|ok|absolutely|great)\b[^:\n]{0,120}:"
    r"|here(?:['’]s| is| are)\b[^:\n]{0,60}\b(?:captions?|descriptions?|texts?|versions?|answers?)\b[^:\n]{0,60}:)\s*",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^[^\S\n]*(?:\d{1,2}[.)]|[-*•])\s", re.MULTILINE)


def caption_in(answer: str, characters: int) -> str:
    """The caption that an answer is, on one line: without thoughts, a fence, a label, a preamble and quotes around it.

    Raises UnparsableError where there is none: nothing, a refusal, several in a list, markup, an address, a piece of
    the prompt (`synthesis.filters.leak_in`), or more than so many characters.
    """
    bare = _PREAMBLE.sub("", without_thoughts(answer))
    if len(_LISTED.findall(bare)) > 1:
        raise UnparsableError(f"a list instead of a text: {plain(bare, 80)!r}")
    line = plain_answer(bare)
    found = refusal_in(line) or leak_in(line)
    if found is not None:
        raise UnparsableError(f"no caption: {found!r} in {line[:80]!r}")
    if len(words(line)) < 2:
        raise UnparsableError(f"no caption: {line[:80]!r}")
    if len(line) > characters:
        raise UnparsableError(f"{len(line)} characters are no caption: {line[:80]!r}")
    if plain(line, characters) != line:
        raise UnparsableError(f"a caption with marks of chat templates: {line[:80]!r}")
    return line


def by_consensus(captions: Sequence[str]) -> tuple[str, ...]:
    """Captions without doubles, the one on which the others agree most first; ties in the given order.

    Agreement is the mean F1 of the words (with their counts) with those of each other caption: what only one sample
    says is the likeliest to be made up. Doubles count as agreement before they go.
    """
    counts = [Counter(words(one)) for one in captions]
    scores = [
        sum(_f1(one, other) for place, other in enumerate(counts) if place != index) / max(1, len(counts) - 1)
        for index, one in enumerate(counts)
    ]
    # Rounded: sums in another order must not decide a tie.
    order = sorted(range(len(captions)), key=lambda index: (-round(scores[index], 9), index))
    return tuple(dict.fromkeys(captions[index] for index in order))


def _f1(one: Counter[str], other: Counter[str]) -> float:
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 0.0
