"""Instructions that a small model cannot spoil: what may be said stands in a grammar made for the pair.

Free text of a 135M model is right for one pair in seven. Under a grammar it chooses among instructions that are made of
words of the page (`synthesis.spans`): it always parses and cannot invent. It stays extractive, only as good as the text
on the page, and silent where that gives no fair instruction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from synthesis.config import TaskConfig
from synthesis.page_text import plain
from synthesis.prompt_files import load_prompt
from synthesis.spans.file_names import name_words, names_file
from synthesis.spans.lexicon import spoken, telling
from synthesis.spans.saying import Saying
from synthesis.spans.sayings import Described, instructions
from synthesis.tasks.interface import Ask, Candidate, NothingToAsk, OneStep, Output, Row, Unit, UnparsableError
from synthesis.words import content_words

#: Images with this visual similarity look alike: probably the same thing in two states.
_ALIKE = 0.6
_CHARACTERS = 145
#: Labels of windows of programs.
_SCREENS = frozenset({"website", "web site"})


class SpanCopy(OneStep):
    """The task for models that run anywhere."""

    name = "span_copy"
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`language` where page or target speak another language than English, `text_missing` where neither text nor
        file name tell what the target shows, `nothing_new` where they tell no more than the query's, `no_fair_span`
        where no span of them makes a fair instruction, `shared_text` where another picture of the page has the target's
        text as well."""
        pair = _described(row)
        if row.get("language") not in (None, "en") or not spoken(pair.target):
            return NothingToAsk("language")
        if not pair.target and not pair.target_name:
            return NothingToAsk("text_missing")
        if row.get("target_text_shared"):
            return NothingToAsk("shared_text")
        options = instructions(pair)
        query, target = _shown(pair)
        if not options:
            return NothingToAsk("no_fair_span" if telling(target, content_words(query)) else "nothing_new")
        told = {"page_title": pair.title, "query_text": query, "target_text": target}
        return Ask(self._prompt, self._prompt.render(told), grammar=grammar(list(options)), max_tokens=64)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The answer itself, if the pair's grammar has it: a server may have ignored the grammar."""
        text = " ".join(answers[0].split())
        saying = _options(row).get(text)
        if saying is None:
            raise UnparsableError(f"not in the grammar of the pair: {text[:80]!r}")
        return Output(texts=(Candidate(text, category=saying.category),))


def grammar(options: Sequence[str]) -> str:
    """A GBNF grammar of these answers and no others."""
    return "root ::= " + " | ".join(json.dumps(option, ensure_ascii=False) for option in options) + "\n"


def _options(row: Row) -> Mapping[str, Saying]:
    return instructions(_described(row))


def _described(row: Row) -> Described:
    target, url = plain(row.get("target_text"), _CHARACTERS), row.get("target_image_url") or ""
    return Described(
        title=plain(row.get("page_title"), 110),
        query=plain(row.get("query_text"), _CHARACTERS),
        target=target,
        query_name=tuple(name_words(row.get("query_image_url") or "")),
        target_name=tuple(name_words(url)),
        target_file=bool(target) and names_file(target, url),
        screens=bool(_SCREENS & {row.get("query_label"), row.get("target_label")}),
        alike=round(float(row.get("visual_similarity") or 0), 4) >= _ALIKE,
    )


def _shown(pair: Described) -> tuple[str, str]:
    """What is taken for the query's and the target's text: that of the page, or the names of their files where the
    target has none."""
    names = " ".join(pair.query_name), " ".join(pair.target_name)
    return (pair.query or names[0], pair.target) if pair.target else names
