"""A judge of finished triplets: does the text lead from the query image to the target, and to no other image?

It answers as people do on the sheets of `lensmith judge`. A model with eyes sees query, target and the other images of
the page; one without is told their texts, labels and captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthesis.config import TaskConfig
from synthesis.json_answers import json_object, object_schema
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit, UnparsableError
from synthesis.words import one_line

VERDICTS = ("good", "partly", "false", "unclear")
_SCHEMA: Mapping[str, Any] = object_schema({"why": {"type": "string"}, "verdict": {"enum": list(VERDICTS)}})


class Judge(OneStep):
    """One question a triplet. Beside its columns (`query_caption` and `target_caption` where there are any) a row has
    `distractors`, other images of the page as mappings of `image_id`, `text`, `label` and `caption`."""

    name = "judge"
    unit: Unit = "triplet"

    def __init__(self, config: TaskConfig, images: bool = True) -> None:
        self._prompt = load_prompt(self.name)
        self._images = images

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`text_missing` where a model without eyes would know nothing of the target."""
        query, target = (
            {what: row.get(f"{side}_{what}") for what in ("text", "label", "caption")} for side in ("query", "target")
        )
        if not self._images and not any(one_line(one or "") for one in target.values()):
            return NothingToAsk("text_missing")
        others = [{what: one.get(what) for what in ("text", "label", "caption")} for one in row["distractors"]]
        messages = self._prompt.render(row, images=self._images, query=query, target=target, others=others)
        shown = (row["query_image_id"], row["target_image_id"], *(one["image_id"] for one in row["distractors"]))
        return Ask(self._prompt, messages, image_ids=shown if self._images else (), schema=_SCHEMA)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Facts `verdict`, one of `VERDICTS`, and `why`."""
        found = json_object(answers[0], "verdict")
        verdict = found["verdict"].strip().lower() if isinstance(found["verdict"], str) else None
        if verdict not in VERDICTS:
            raise UnparsableError(f"no verdict: {one_line(answers[0])[:80]!r}")
        why = found.get("why")
        return Output({"verdict": verdict, "why": one_line(why) if isinstance(why, str) else ""})
