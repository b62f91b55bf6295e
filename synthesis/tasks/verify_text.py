"""A verifier without eyes: which of four images, as captions or the page describe them, does the text lead to?"""

from __future__ import annotations

from collections.abc import Sequence

from synthesis.config import TaskConfig
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit
from synthesis.tasks.target_choice import ask_choice, read_choice


class VerifyText(OneStep):
    """One question a text, asked three times. The model reads what is written about the query image, the text,
    and what is written about the target and its most similar other images, shuffled.

    Facts `verdict` (pass, ambiguous, fail), `votes` (0 the target, 1, 2, … the distractors, -1 several fit, -2 none
    fits, -3 unread), `judged_order` (the candidates as they were shown, by the same numbers) and `judged_by`."""

    name = "verify_text"
    unit: Unit = "triplet"

    def __init__(self, config: TaskConfig) -> None:
        self._config = config

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`text_missing` where nothing is written about the target, `too_few_candidates` where nothing is about two
        others."""
        return ask_choice("text", row.get("instruction"), row, self._config)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The verdict on the row's instruction."""
        found = read_choice("text", row["instruction"], answers, row, self._config)
        facts = {"verdict": found.verdict, "votes": list(found.votes), "judged_order": list(found.order)}
        return Output(facts | {"judged_by": "text"})
