"""What a chain of judges said of texts, read from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthesis.chain import ChainRows, Unanswered, Written, passing
from synthesis.config import FilterConfig, VerifyConfig
from synthesis.tasks.verify_rewritten import rewritten_texts
from synthesis.verification.distractors import Distractor

#: A text of a triplet: the triplet's id and the text.
TextKey = tuple[str, str]


@dataclass(frozen=True)
class Rewritten:
    """The coarsest text that passed in place of a failed one, with its votes and the order of the candidates."""

    written: Written
    votes: tuple[int, ...]
    order: tuple[int, ...]


@dataclass(frozen=True)
class Said:
    """What was said of one text: `verdict` pass, ambiguous, fail, or None where the judge said nothing (it had nothing
    to ask, or no answer could be read); `missing` where a request failed or was put off; the written caption of the
    target where the chain has one."""

    verdict: str | None = None
    votes: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    judged_by: str | None = None
    missing: Unanswered | None = None
    rewritten: Rewritten | None = None
    target_caption: str | None = None


def judged_rows(
    triplet: Mapping[str, Any], distractors: Sequence[Distractor], captions: Mapping[str, str], which: str
) -> list[dict[str, Any]]:
    """A triplet as rows that a chain of judges takes: one for each text that is judged (`which`: best or all), with its
    distractors, and the written captions of its images by id."""
    shown = {
        "distractors": [one.image_id for one in distractors],
        "distractor_texts": [one.text for one in distractors],
        "distractor_captions": [captions.get(one.image_id) for one in distractors],
        "query_caption": captions.get(triplet["query_image_id"]),
        "target_caption": captions.get(triplet["target_image_id"]),
    }
    texts = triplet["instructions"][: 1 if which == "best" else None]
    return [{**triplet, **shown, "instruction": text["text"]} for text in texts]


def judging_columns(config: VerifyConfig, filters: FilterConfig) -> dict[str, Any]:
    """What rows tell the tasks of a chain of its settings: whether images are shown, which verdicts are written anew,
    which filters what is written must pass. Plain values."""
    return {
        "show_images": "verify_image" in config.chain,
        "rewrite_verdicts": list(config.rewritten),
        "filters": filters.model_dump(mode="json"),
    }


def said_of(rows: ChainRows) -> dict[TextKey, Said]:
    """What became of each row at the end of a chain."""
    return {
        (row["triplet_id"], row["instruction"]): _said(row, rows.reasons[number].values(), rows.texts[number])
        for number, row in enumerate(rows.rows)
    }


def rewritten_of(row: Mapping[str, Any], texts: Sequence[Written]) -> Rewritten | None:
    """The coarsest text of a row that passed in place of its own."""
    verdicts: list[str] = row.get("rewritten_verdicts") or []
    if "pass" not in verdicts:
        return None
    place = verdicts.index("pass")
    text = rewritten_texts(row)[place]
    written = next(one for one in texts if one.candidate.text == text)
    return Rewritten(written, tuple(row["rewritten_votes"][place]), tuple(row["rewritten_orders"][place]))


def _said(row: Mapping[str, Any], reasons: Any, texts: Sequence[Written]) -> Said:
    return Said(
        row.get("verdict"),
        tuple(row.get("votes") or ()),
        tuple(row.get("judged_order") or ()),
        row.get("judged_by"),
        passing(reasons),
        rewritten_of(row, texts),
        row.get("target_caption_written"),
    )
