"""A compound instruction cut into its clauses, each with whether it denies what it names. Rules for English."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Clause:
    """`text` says what to look for; where `negated`, what the image must not show."""

    text: str
    negated: bool


#: Words that begin a clause of its own after "and" or a comma; others ("black and white") join parts of one clause.
_STARTERS = """a an the this that it its is are has have had was were be with without no not never there
    make makes add adds remove removes change changes replace replaces put puts place turn turns show shows take takes
    move moves give gives swap swaps let have zoom crop rotate keep keeps get gets i we same different another
    less more fewer only in on at behind under next one two three four five six several many both""".split()

_ENDS = re.compile(r"(?:[.!?](?=\s|$)|[;\n])+")
_ALWAYS = re.compile(r",?\s+(?:but|then|while|whereas|and\s+then|and\s+also|as\s+well\s+as)\s+", re.IGNORECASE)
_JOINED = re.compile(rf"(?:,\s*(?:and\s+)?|\s+and\s+)(?=(?:{'|'.join(_STARTERS)})\b)", re.IGNORECASE)
_LEADING = re.compile(r"^(?:and|but|then|also|while)\s+", re.IGNORECASE)
_NEGATION = re.compile(
    r"""^(?:(?:it|its|that|which|there|they|i|we)\s+)?
        (?:
          (?:(?:is|are|was|has|have|had|with|be|do|does|did|should|must)\s+)?
          (?:without|not(?!\s+only\b)(?:\s+(?:any|have|has|show|be))?|never|no\s+longer|no\s+more(?!\s+than\b)
             |no(?!\s+(?:more|less|fewer)\b))
        | (?:is|are|was|do|does|did|has|have|should)n['’]t(?:\s+(?:have|show|be|any))?
        | (?:remove|removes|delete|deletes|drop|drops|get\s+rid\s+of|gets\s+rid\s+of|lose|loses)
        )
        \s+(?P<what>\S.*)$""",
    re.IGNORECASE | re.VERBOSE,
)
_SUBJECT = r"(?P<subject>(?:the|an?|its|his|her|their|this|that|these|those)(?:\s+[\w-]+){1,3}?)"
_SUBJECT_IS_NOT = re.compile(
    rf"^{_SUBJECT}\s+(?P<verb>is|are|was|were|has|have)(?:n['’]t|\s+not(?!\s+only\b)|\s+no\s+longer)\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)
_SUBJECT_HAS_NOT = re.compile(
    rf"^{_SUBJECT}\s+(?:do|does|did)(?:n['’]t|\s+not|\s+no\s+longer)\s+(?:have|show|wear)\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)


def split_clauses(instruction: str) -> list[Clause]:
    """The clauses of an instruction, in order, without repetition; an empty list where it says nothing.

    Cut at the ends of sentences, semicolons, line ends, "but", "then", "while", and at commas and "and" where the
    next word begins a clause ("is red and has long sleeves", not "black and white"). A clause that begins by denying
    or removing ("without a collar", "is not red", "remove the hat") is given as what it denies, `negated`, and one that
    denies something of its subject as what it denies of it ("the sky is not blue": "the sky is blue")."""
    pieces = [instruction]
    for separator in (_ENDS, _ALWAYS, _JOINED):
        pieces = [part for piece in pieces for part in separator.split(piece)]
    clauses: dict[Clause, None] = {}
    for piece in pieces:
        text = _LEADING.sub("", " ".join(piece.split()).strip(" ,;:.!?"))
        if not text:
            continue
        clauses[_clause(text)] = None
    return list(clauses)


def _clause(text: str) -> Clause:
    if found := _NEGATION.match(text):
        return Clause(found["what"], True)
    if found := _SUBJECT_IS_NOT.match(text):
        return Clause(f"{found['subject']} {found['verb']} {found['rest']}", True)
    if found := _SUBJECT_HAS_NOT.match(text):
        return Clause(f"{found['subject']} with {found['rest']}", True)
    return Clause(text, False)
