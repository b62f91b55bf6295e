"""A verifier without eyes: which of four images, as captions or the page describe them, does the text lead to?"""

from __future__ import annotations

from synthesis.tasks.target_choice import ChoosingTask, Kind


class VerifyText(ChoosingTask):
    """The model reads what is written about the query image, the text, and what is written about the target and its
    most similar other images, shuffled."""

    name = "verify_text"
    kind: Kind = "text"
