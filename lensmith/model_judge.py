"""A model as a judge of a sample: it is asked what people are asked, and never asked twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from beam_jobs.shown_images import ShownImages, find_places
from beam_jobs.workspace import Workspace
from lensmith.judge_sample import JUDGEMENTS, captions_of
from publishing.judging.judgements import MODEL, NAME_LENGTH, Judgements
from publishing.judging.sample import Item, JudgeSample
from schemas.outcomes import CollectedOutcomes
from schemas.protocols import InstructionWriter
from synthesis.asking import Asking, answer
from synthesis.config import TaskConfig
from synthesis.requests import Request, again, make_requests
from synthesis.store import GenerationStore
from synthesis.tasks.interface import NothingToAsk, UnparsableError
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
    requests: dict[str, Request] = {}
    missing: Counter[str] = Counter()
    for one in sample.items:
        ask = task.format_input(_row(one, annotated))
        if isinstance(ask, NothingToAsk):
            missing[ask.reason] += 1
        else:
            requests[one.item_id] = make_requests(ask, config)[0]
    reader = cache(lambda: ShownImages(workspace, find_places(workspace, names)))

    def shown(image_ids: Sequence[str], side: int) -> list[bytes]:
        """They are looked for only if something has to be asked."""
        return reader()(image_ids, side)

    outcomes = CollectedOutcomes()
    asking = Asking(
        GenerationStore(workspace.folder, f"{JUDGEMENTS}/{sample.sample_id}/answers"),
        config,
        load,
        follow_up=lambda request, text: again(request, text) if _verdict(task, text) is None else None,
        images=shown,
    )
    answer(requests.values(), asking, outcomes)
    texts = {row["request_id"]: row["text"] for row in outcomes.rows("generations")}
    answers, notes = {}, {}
    for name, request in requests.items():
        found = _said(task, request, texts)
        if found is not None:
            answers[name], notes[name] = found
    entry = outcomes.counts.entry("request")
    missing += entry.rejected + entry.failed
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


def _said(task: Judge, request: Request, texts: Mapping[str, str]) -> tuple[str, str] | None:
    """Verdict and reason from the answer to a request, or to the one that asked again; None without either."""
    first = texts.get(request.request_id)
    if first is None:
        return None
    found = _verdict(task, first)
    return found if found is not None else _verdict(task, texts.get(again(request, first).request_id) or "")


def _verdict(task: Judge, text: str) -> tuple[str, str] | None:
    try:
        facts = task.format_output([text], {}).facts
    except UnparsableError:
        return None
    return facts["verdict"], facts["why"]
