"""Texts from two captions and a template, without any model, after SPN4CIR and CoLLM (arXiv 2503.19910).

Both name the target's caption and, in most templates, what the query shows; the words of the templates are our own.
CoLLM's share of samples that carry the bare caption is left out: a caption is no instruction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schemas.ids import digest
from synthesis.config import TaskConfig
from synthesis.tasks.interface import Candidate, Row, Step
from synthesis.tasks.pair_texts import both_sides
from synthesis.words import STOP_WORDS, content_words, words

#: Words of a caption that enter a template, at most.
WORDS = 8
#: Short exchanges, after SPN4CIR: {0} the query's caption, {1} the target's.
EXCHANGES = (
    "{1} instead of {0}",
    "{1} rather than {0}",
    "{1} in place of {0}",
    "{1}, not {0}",
    "not {0} but {1}",
    "change {0} to {1}",
    "replace {0} with {1}",
    "from {0} to {1}",
)
#: Requests over both captions, after CoLLM.
REQUESTS = (
    "show {1} where there was {0}",
    "now I want {1} in place of {0}",
    "swap {0} for {1}",
    "turn {0} into {1}",
    "let {1} take the place of {0}",
    "make it {1} and no longer {0}",
    "I have {0}, find me {1}",
    "you see {0}, look for {1}",
    "this has {0}, the one I want has {1}",
    "like this, but {1} where {0} is",
    "drop {0} and bring in {1}",
    "in exchange for {0}, give me {1}",
    "what if it were {1} and not {0}",
    "less of {0}, more of {1}",
    "search for {1}, starting from {0}",
)
#: How a caption speaks of itself. "Aerial view of" is kept: it says something.
_PREAMBLE = re.compile(
    r"\A(?:(?:this|the|an?)\s+)?(?:image|picture|photo(?:graph)?)s?\s+(?:of|shows?|showing|depicts?|depicting)\s+",
    re.IGNORECASE,
)
_END = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bSt)(?<!\bMt)(?<!\bNo)(?<!\bvs)(?<!\bFig)(?<=[^\W\d_]{2})[.!?…](?:\s|\Z)"
    r"|[.!?…]+\Z|[;|]\s"
)
_ARTICLE = re.compile(r"\A(?:An?|The|Two|Three|Four|Five|Six|Some|Several|Many)\s")
#: Before these a caption may be cut without becoming another one.
_JOINTS = frozenset(
    "with and or while which that who in on at near under over behind beside from by for - – — | · •".split()
)
#: Longer than this is no phrase, nor a script without blanks.
_CHARACTERS = 80


class Templates:
    """The task for those who have no model; its texts are as good as the two captions."""

    name = "templates"

    def __init__(self, config: TaskConfig) -> None:
        self._texts, self._seed = config.texts, str(config.seed)

    @property
    def steps(self) -> Sequence[Step]:
        """No question."""
        return ()

    def texts(self, row: Row) -> Sequence[Candidate]:
        """Templates of either family, told by the settings' seed and the two captions; none where one is missing or
        the target's says nothing new."""
        sides = both_sides(row)
        if not isinstance(sides, dict):
            return ()
        query, target = shortened(sides["query"]), shortened(sides["target"])
        if not query or not content_words(target) - content_words(query):
            return ()
        chosen = sorted(EXCHANGES + REQUESTS, key=lambda template: digest(self._seed, template, query, target))
        return tuple(Candidate(_filled(template, query, target)) for template in chosen[: self._texts])


def shortened(caption: str, most: int = WORDS) -> str:
    """The beginning of a caption in at most so many words between blanks: its first sentence without "a photo of", cut
    where a part of it ends, with nothing dangling. "" where that is no phrase."""
    tokens = _END.split(_PREAMBLE.sub("", caption), maxsplit=1)[0].split()
    dangling = _JOINTS | {"a", "an", "the"}  # Texts of pages may be cut already.
    if len(tokens) > most:
        tokens = tokens[: _end(tokens, most)]
        dangling |= STOP_WORDS
    while tokens and (not words(tokens[-1]) or (len(tokens) > 1 and tokens[-1] in dangling)):
        tokens.pop()
    text = " ".join(tokens).rstrip(" ,;:.!?…")
    if len(text) > _CHARACTERS:
        return ""
    return text[0].lower() + text[1:] if _ARTICLE.match(text) else text


def _end(tokens: Sequence[str], most: int) -> int:
    """The last place within `most` tokens before a joint or a bracket, or behind a comma, that leaves at least half of
    them."""
    for end in range(most, most // 2 - 1, -1):
        if tokens[end].lower() in _JOINTS or tokens[end].startswith(("(", "[")) or tokens[end - 1].endswith(","):
            return end
    return most


def _filled(template: str, query: str, target: str) -> str:
    """A caption may hold braces: both are put in at once."""
    return re.sub(r"\{([01])\}", lambda found: (query, target)[int(found[1])], template)
