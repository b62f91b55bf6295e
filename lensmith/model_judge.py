"""A model as a judge of a sample: it is asked what people are asked, and never asked twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from beam_jobs.shown_images import find_places, shown_images
from beam_jobs.workspace import Workspace
from lensmith.judge_sample import JUDGEMENTS, captions_of
from publishing.judging.judgements import MODEL, NAME_LENGTH, Judgements
from publishing.judging.sample import Item, JudgeSample
from schemas.protocols import InstructionWriter
from schemas.storage import Folder
from synthesis.chain import Chain
from synthesis.config import TaskConfig
from synthesis.run_rows import run_rows
from synthesis.tasks.judge import Judge

_UNSEEING = " (texts only)"


@dataclass(frozen=True)
class Judged:
    """What a model said; of how many items it said nothing, by the reason."""

    judgements: Judgements
    missing: Mapping[str, int]


def judge_by_model(
    workspace: Workspace,
    sample: JudgeSample,
    config: TaskConfig,
    load: Callable[[], InstructionWriter],
    *,
    images: bool = True,
) -> Judged:
    """Judge a sample. Answers are kept below `judgements`, so that only what has none is asked.

    `images`: whether the model sees them, or is told their texts, labels and captions."""
    task = Judge(config, images)
    names = {name for one in sample.items for name in one.image_ids}
    annotated = {} if images else captions_of(workspace, names)
    reader = cache(lambda: shown_images(workspace, find_places(workspace, names)))

    def shown(image_ids: Sequence[str], side: int) -> list[bytes]:
        """They are looked for only if something has to be asked."""
        return reader()(image_ids, side)

    found = run_rows(
        [_row(one, annotated) for one in sample.items],
        Chain(((task, config),)),
        Folder(f"{workspace.path.rstrip('/')}/{JUDGEMENTS}/{sample.sample_id}/answers"),
        lambda _: load(),
        shown,
    )
    asked = {question.key for step in found.steps for question in step.questions}
    answers, notes = {}, {}
    entry = found.outcomes.counts.entry("request")
    missing = entry.rejected + entry.failed
    for item, row, reasons in zip(sample.items, found.rows.rows, found.rows.reasons, strict=True):
        if "verdict" in row:
            answers[item.item_id], notes[item.item_id] = row["verdict"], row["why"]
        elif (item.item_id,) not in asked:
            missing[reasons[task.name].reason] += 1
    unread = len(sample.items) - len(answers) - missing.total()
    if unread > 0:
        missing["unparsable_answer"] += unread
    return Judged(Judgements(sample.sample_id, judge_name(config.model, images), answers, notes), missing)


def judge_name(model: str, images: bool = True) -> str:
    """The name under which a model judges."""
    end = "" if images else _UNSEEING
    return f"{MODEL}{' '.join(model.split())}"[: NAME_LENGTH - len(end)] + end


def _row(item: Item, annotated: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An item as the row of a triplet, with what the annotation says of its images."""

    def known(image_id: str, what: str) -> str | None:
        value: str | None = annotated.get(image_id, {}).get(what)
        return value

    sides = (("query", item.query_image_id), ("target", item.target_image_id))
    return {
        "page_id": item.page_id,
        "pair_id": item.item_id,
        "instruction": item.text,
        "page_title": item.page_title,
        "query_image_id": item.query_image_id,
        "target_image_id": item.target_image_id,
        "query_text": item.query_text,
        "target_text": item.target_text,
        "query_label": item.query_label,
        "target_label": item.target_label,
        **{f"{side}_caption": known(image_id, "caption") for side, image_id in sides},
        "distractors": [
            {"image_id": one.image_id, "text": one.text}
            | {what: known(one.image_id, what) for what in ("label", "caption")}
            for one in item.distractors
        ],
    }
