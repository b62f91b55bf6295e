"""Instructions that a small model cannot spoil: a start phrase, words of the target's text, an end.

Free text of a 135M model is right for one pair in seven. Under a grammar made for the pair it chooses which span of the
target's text to take, how to introduce it and how to end: it always parses and cannot invent. It stays extractive, and
only as good as the text on the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from schemas.ids import digest
from synthesis.config import WriteConfig
from synthesis.requests import NothingToAsk, Prompt, Request, Variables, load_prompt, make_request
from synthesis.tasks.interface import Candidate, UnparsableError
from synthesis.tasks.phrases import Kind, Phrase, phrases

#: Options of one grammar, at most.
_MOST = 64
#: Ways to introduce a span that are offered for it, of those that fit.
_OFFERED = 2
#: Of a thing: "the engine of it", "the map for it".
_PARTS = frozenset(
    "interior exterior inside outside front back rear side top bottom view close-up closeup detail engine dashboard "
    "cover roof door wheel seat window entrance facade tower hall garden display screen keyboard handle lens base tail "
    "head face wing leaf flower fruit seed bark skull shell nest surface plan section profile portrait skeleton".split()
)
_TOOLS = frozenset(
    "map settings menu dialog tool toolkit kit case box cable adapter charger manual mount holder stand remote battery "
    "ticket poster diagram schematic".split()
)
#: Letters whose names begin with a vowel, for acronyms; sounds that a letter does not tell.
_VOWEL_NAMES = frozenset("AEFHILMNORSX")
_CONSONANT_SOUNDS = re.compile(r"^(?:uni|use|usu|uti|eu|ewe|one\b|once)", re.IGNORECASE)
_SILENT = re.compile(r"^(?:hour|honest|hono|heir)", re.IGNORECASE)


class SpanCopy:
    """The task for models that run anywhere."""

    name = "span_copy"

    def __init__(self, config: WriteConfig) -> None:
        self._prompt = load_prompt("span_copy")
        self._config = config

    def format_input(self, variables: Variables) -> Request | NothingToAsk:
        """`text_missing` where one of the images has no text, `nothing_new` where the target's text has no phrase with
        a content word that the query's lacks."""
        if not variables.query or not variables.target:
            return NothingToAsk("text_missing")
        options = self._options(variables)
        if not options:
            return NothingToAsk("nothing_new")
        parameters = {
            "temperature": self._config.temperature,
            "max_tokens": min(self._config.max_tokens, 64),
            "seed": self._config.seed,
            "grammar": grammar(options),
        }
        return make_request(self._prompt, self._config.model, variables, parameters)

    def format_output(self, text: str, variables: Variables) -> Sequence[Candidate]:
        """The answer itself, if the pair's grammar has it: a server may have ignored the grammar."""
        text = " ".join(text.split())
        if text not in self._options(variables):
            raise UnparsableError(f"not in the grammar of the pair: {text[:80]!r}")
        return [Candidate(text, self.name)]

    def _options(self, variables: Variables) -> list[str]:
        found = phrases(variables.query, variables.target, variables.alike)
        seed = (variables.query, variables.target)
        return list(dict.fromkeys(text for phrase in found for text in _texts(self._prompt, phrase, seed)))[:_MOST]


def _texts(prompt: Prompt, phrase: Phrase, seed: tuple[str, str]) -> Iterator[str]:
    """The instructions that may be made of a phrase."""
    for family in _families(phrase):
        patterns = sorted(prompt.phrases[family], key=lambda pattern: digest("start", pattern, *seed))
        for pattern in patterns[:_OFFERED]:
            text = pattern.replace("{}", phrase.text)
            yield re.sub(r"^(\w+) a ", rf"\1 {article(phrase.text)} ", text) if family == "ones" else text


def _families(phrase: Phrase) -> tuple[str, ...]:
    if phrase.kind is Kind.MANNER:
        return ("times",) if phrase.time else ("manners",)
    if phrase.act:
        return ("versions",)
    if phrase.kind is Kind.TRAIT:
        return ("versions",) if phrase.state or not phrase.noun else ("traits", "versions")
    if phrase.head in _PARTS:
        return ("parts", "things")
    if phrase.head in _TOOLS:
        return ("tools", "things")
    return ("things",) if phrase.plural or phrase.state or phrase.aside else ("things", "ones")


def article(text: str) -> str:
    """`a` or `an`, as the sound of the first word asks."""
    first = text.split(maxsplit=1)[0]
    if len(first) > 1 and first.isupper():
        return "an" if first[0] in _VOWEL_NAMES else "a"
    if _SILENT.match(first):
        return "an"
    return "an" if first[0].lower() in "aeiou" and not _CONSONANT_SOUNDS.match(first) else "a"


def grammar(options: Sequence[str]) -> str:
    """A GBNF grammar of these answers and no others."""
    return "root ::= " + " | ".join(json.dumps(option, ensure_ascii=False) for option in options) + "\n"
