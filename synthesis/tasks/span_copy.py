"""Instructions that a small model cannot spoil: a start phrase, words of the target's text, an end.

Free text of a 135M model is right for one pair in seven. Under a grammar made for the pair it chooses where a span of
the target's text begins and ends and how it is introduced: it always parses and cannot invent. It stays extractive,
and only as good as the text on the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from synthesis.config import WriteConfig
from synthesis.requests import Prompt, Request, Variables, load_prompt, make_request
from synthesis.tasks.interface import Candidate, UnparsableError
from synthesis.words import STOP_WORDS, content_words, words

_LONGEST = 6
_SEPARATORS = re.compile(r"[\s,;:()\[\]{}\"`|/\\<>=]+")


class SpanCopy:
    """The task for models that run anywhere."""

    name = "span_copy"

    def __init__(self, config: WriteConfig) -> None:
        self._prompt = load_prompt("span_copy")
        self._config = config

    def format_input(self, variables: Variables) -> Request | None:
        """None where the target's text has no content word that the query's lacks."""
        spans = copy_spans(variables.query, variables.target)
        if not variables.query or not variables.target or not spans:
            return None
        parameters = {
            "temperature": self._config.temperature,
            "max_tokens": min(self._config.max_tokens, 48),
            "seed": self._config.seed,
            "grammar": _grammar(self._prompt, spans),
        }
        return make_request(self._prompt, self._config.model, variables, parameters)

    def format_output(self, text: str) -> Sequence[Candidate]:
        """The answer itself."""
        text = " ".join(text.split())
        if not text.startswith((*self._prompt.starts, *self._prompt.parts)):
            raise UnparsableError(f"begins with no start phrase: {text[:60]!r}")
        return [Candidate(text, self.name)]


def copy_spans(query: str, target: str) -> list[str]:
    """Runs of 1 to 6 words of the target's text that begin and end with a content word and hold one that the query's
    text lacks, in lower case but for names within; longer ones first, at most 60."""
    tokens = [token.strip(".'’!?*-–—") for token in _SEPARATORS.split(target)]
    tokens = [token for token in tokens if token]
    if len(tokens) > 1 and all(token[:1].isupper() for token in tokens if token[:1].isalpha()):
        # Capitals of a heading tell no names.
        tokens = [token.lower() if token[1:].islower() else token for token in tokens]
    known = content_words(query)
    spans: dict[str, None] = {}
    for length in range(min(_LONGEST, len(tokens)), 0, -1):
        for start in range(len(tokens) - length + 1):
            run = tokens[start : start + length]
            if any(not words(edge) or words(edge)[0] in STOP_WORDS for edge in (run[0], run[-1])):
                continue
            new = content_words(" ".join(run)) - known
            if any(not word.isdigit() for word in new):
                spans.setdefault(" ".join(_lowered(token, start + index) for index, token in enumerate(run)))
    return list(spans)[:60]


def _lowered(token: str, index: int) -> str:
    """A sentence's first word loses its capital; acronyms and names within the sentence keep theirs."""
    return token.lower() if index == 0 and token[1:].islower() else token


def _grammar(prompt: Prompt, spans: Sequence[str]) -> str:
    """A GBNF grammar: a start and a span; or the start of a part, a span and an end."""

    def either(options: Sequence[str]) -> str:
        return " | ".join(json.dumps(option, ensure_ascii=False) for option in options)

    return (
        'root ::= start " " span | part " " span end\n'
        f"start ::= {either(prompt.starts)}\npart ::= {either(prompt.parts)}\n"
        f"span ::= {either(spans)}\nend ::= {either(prompt.ends)}\n"
    )
