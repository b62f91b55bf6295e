"""Texts written anew are judged as the failed one was, the coarsest first; the first that passes ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthesis.config import FilterConfig, TaskConfig
from synthesis.filters import fault
from synthesis.tasks.interface import Ask, Candidate, NothingToAsk, Output, Row, Step, Unit
from synthesis.tasks.target_choice import Kind, ask_choice, read_choice

_STEPS = ("coarse", "middle", "fine")


class VerifyRewritten:
    """Three questions a failed text at most: one for each text of the row's `rewritten` that the filters let through.

    Facts `rewritten_verdicts`, `rewritten_votes` and `rewritten_orders`: a member for each text that was judged."""

    name = "verify_rewritten"

    def __init__(self, config: TaskConfig) -> None:
        self._config = config

    @property
    def steps(self) -> Sequence[Step]:
        """From coarse to fine."""
        return tuple(_Judging(number, self._config) for number in range(len(_STEPS)))

    def texts(self, row: Row) -> Sequence[Candidate]:
        """None: it judges."""
        return ()


class _Judging:
    unit: Unit = "triplet"

    def __init__(self, number: int, config: TaskConfig) -> None:
        self.name = f"{VerifyRewritten.name}.{_STEPS[number]}"
        self._number, self._config = number, config

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`passed` where a coarser text did, `no_text` where there is none of this length; and the reasons of the
        verifier."""
        if "pass" in (row.get("rewritten_verdicts") or ()):
            return NothingToAsk("passed")
        texts = rewritten_texts(row)
        if len(texts) <= self._number:
            return NothingToAsk("no_text")
        return ask_choice(_kind(row), texts[self._number], row, self._config)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The verdicts so far and this one."""
        found = read_choice(_kind(row), rewritten_texts(row)[self._number], answers, row, self._config)
        made = {"verdicts": found.verdict, "votes": list(found.votes), "orders": list(found.order)}
        return Output({f"rewritten_{name}": [*_before(row, name), value] for name, value in made.items()})


def rewritten_texts(row: Row) -> list[str]:
    """The texts of the fact `rewritten`, from coarse to fine, that the filters (the row's `filters`) let through."""
    filters = FilterConfig(**(row.get("filters") or {}))
    pair = {"query_text": row.get("query_text"), "target_text": row.get("target_text")}
    return [text for text in row.get("rewritten") or () if fault(text, pair, filters) is None]


def _kind(row: Row) -> Kind:
    return "text" if row.get("judged_by") == "text" else "image"


def _before(row: Row, name: str) -> list[Any]:
    return list(row.get(f"rewritten_{name}") or ())
