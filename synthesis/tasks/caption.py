"""Captions of images by a model that sees them, with the page's words about them as hints.

With `samples` above 1 several are written at a temperature above 0 and the best is taken. Reward `likelihood`: answers
carry no probabilities of tokens, so the sample with which the others agree most stands for the likeliest one
(consensus). Reward `alignment`: the same, and all of them as the fact `captions`, the best by consensus first, so that
whoever has the image's features can rank them again by `synthesis.alignment`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthesis.config import TaskConfig
from synthesis.prompt_files import load_prompt
from synthesis.tasks.caption_texts import by_consensus, caption_in
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit, UnparsableError

#: Temperature of several samples where the configured one is 0: they would all be the same.
_TEMPERATURE = 0.7
#: Characters of a caption, at most.
_MOST = 600


class Caption(OneStep):
    """One or two factual sentences an image, as the fact `caption`."""

    name = "caption"
    unit: Unit = "image"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)
        self._samples, self._reward = config.samples, config.reward
        self._temperature = (config.temperature or _TEMPERATURE) if config.samples > 1 else None

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """Every image can be asked about, with hints or without."""
        return Ask(
            self._prompt,
            self._prompt.render(row),
            image_ids=(row["image_id"],),
            samples=self._samples,
            temperature=self._temperature,
        )

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Facts `caption` and, where the reward is to choose among several, `captions`. Samples that are no captions
        are left out; raises UnparsableError where none is one."""
        captions: list[str] = []
        faults: list[UnparsableError] = []
        for answer in answers:
            try:
                captions.append(caption_in(answer, _MOST))
            except UnparsableError as error:
                faults.append(error)
        if not captions:
            raise faults[0] if faults else UnparsableError("no answer")
        ranked = by_consensus(captions)
        facts: dict[str, Any] = {"caption": ranked[0]}
        if self._samples > 1 and self._reward == "alignment":
            facts["captions"] = ranked
        return Output(facts=facts)
