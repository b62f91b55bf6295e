"""A verifier with eyes: which of four images does the text lead to (see `synthesis.tasks.target_choice`)?"""

from __future__ import annotations

from collections.abc import Sequence

from synthesis.config import TaskConfig
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit
from synthesis.tasks.target_choice import ask_choice, read_choice


class VerifyImage(OneStep):
    """One question a text, asked three times. The model sees the query image, reads the text, and then sees
    the target and its most similar other images (the row's `distractors`), shuffled.

    Facts `verdict` (pass, ambiguous, fail), `votes` (0 the target, 1, 2, … the distractors, -1 several fit, -2 none
    fits, -3 unread), `judged_order` (the candidates as they were shown, by the same numbers) and `judged_by`."""

    name = "verify_image"
    unit: Unit = "triplet"

    def __init__(self, config: TaskConfig) -> None:
        self._config = config

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`too_few_candidates` where fewer than two other images are known."""
        return ask_choice("image", row.get("instruction"), row, self._config)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """The verdict on the row's instruction."""
        found = read_choice("image", row["instruction"], answers, row, self._config)
        facts = {"verdict": found.verdict, "votes": list(found.votes), "judged_order": list(found.order)}
        return Output(facts | {"judged_by": "image"})
