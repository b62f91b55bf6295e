"""A verifier with eyes: which of four images does the text lead to (see `synthesis.tasks.target_choice`)?"""

from __future__ import annotations

from synthesis.tasks.target_choice import ChoosingTask, Kind


class VerifyImage(ChoosingTask):
    """The model sees the query image, reads the text, and then sees the target and its most similar other images (the
    row's `distractors`), shuffled."""

    name = "verify_image"
    kind: Kind = "image"
