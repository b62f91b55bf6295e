"""Instructions that a small model cannot spoil: a start phrase, words of the target's text, an end.

Free text of a 135M model is right for one pair in seven. Under a grammar made for the pair it chooses which span of the
target's text to take, how to introduce it and how to end: it always parses and cannot invent. It stays extractive, and
only as good as the text on the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import yaml

from schemas.ids import digest
from synthesis.config import TaskConfig
from synthesis.page_text import plain
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import Ask, Candidate, NothingToAsk, Output, Row, Step, Unit, UnparsableError
from synthesis.tasks.phrases import Kind, Phrase, phrases

#: Images with this visual similarity look alike: probably the same thing in two states.
_ALIKE = 0.6
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
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)

    @property
    def steps(self) -> Sequence[Step]:
        """One question."""
        return (self,)

    def texts(self, row: Row) -> Sequence[Candidate]:
        """None without a model's choice."""
        return ()

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`text_missing` where one of the images has no text, `nothing_new` where the target's text has no phrase with
        a content word that the query's lacks."""
        if not _text(row, "query_text") or not _text(row, "target_text"):
            return NothingToAsk("text_missing")
        options = _options(row)
        if not options:
            return NothingToAsk("nothing_new")
        return Ask(self._prompt, self._prompt.render(row), grammar=grammar(options), max_tokens=64)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The answer itself, if the pair's grammar has it: a server may have ignored the grammar."""
        text = " ".join(answers[0].split())
        if text not in _options(row):
            raise UnparsableError(f"not in the grammar of the pair: {text[:80]!r}")
        return Output(texts=(Candidate(text),))


def _text(row: Row, column: str) -> str:
    return plain(row.get(column), 145)


def _options(row: Row) -> list[str]:
    query, target = _text(row, "query_text"), _text(row, "target_text")
    alike = round(float(row.get("visual_similarity") or 0), 4) >= _ALIKE
    found = phrases(query, target, alike)
    return list(dict.fromkeys(text for phrase in found for text in _texts(phrase, (query, target))))[:_MOST]


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, Sequence[str]]:
    source = files("synthesis.prompts").joinpath("span_copy.phrases.yaml").read_text(encoding="utf-8")
    loaded: Mapping[str, Sequence[str]] = yaml.safe_load(source)
    return loaded


def _texts(phrase: Phrase, seed: tuple[str, str]) -> Iterator[str]:
    """The instructions that may be made of a phrase."""
    for family in _families(phrase):
        patterns = sorted(_patterns()[family], key=lambda pattern: digest("start", pattern, *seed))
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
