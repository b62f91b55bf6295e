"""Rows that have gone along a chain to triplets: backward texts, filters, the best text of each pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.ids import digest, triplet_id
from schemas.outcomes import Outcomes
from schemas.tables import PAIRS, PARSE
from synthesis.chain import Chain, ChainRows, Unanswered, Written, passing
from synthesis.config import FilterConfig
from synthesis.filters import fault
from synthesis.tasks.interface import LENGTHS
from synthesis.words import words


def write_triplets(rows: ChainRows, filters: FilterConfig, outcomes: Outcomes) -> None:
    """Pairs of whole pages, with what was written for each, to rows of `triplets`.

    Unit `text`: rejected for the filters' reasons, `no_reversed_pair`, `duplicate`. Unit `pair`: kept with a row;
    rejected with the reason of the task that had nothing (`text_missing`, `nothing_new`, `no_answer`, …), or
    `no_good_text` where there were texts; failed or deferred with its request.
    """
    by_ends = {
        (row["page_id"], row["query_image_id"], row["target_image_id"]): number for number, row in enumerate(rows.rows)
    }
    texts: dict[int, list[dict[str, Any]]] = defaultdict(list)
    homes: dict[int, list[Written]] = defaultdict(list)
    wrote: set[int] = set()
    for number, row in enumerate(rows.rows):
        for written in rows.texts[number]:
            wrote.add(number)
            home, text = number, written.candidate.text
            if written.candidate.direction == "backward":
                reverse = (row["page_id"], row["target_image_id"], row["query_image_id"])
                if reverse not in by_ends:
                    _reject(outcomes, "no_reversed_pair", row, text, text)
                    continue
                home = by_ends[reverse]
            dropped = fault(text, rows.rows[home], filters.of_length(written.candidate.length))
            if dropped is not None:
                _reject(outcomes, dropped[0], rows.rows[home], text, dropped[1])
                continue
            texts[home].append(instruction_of(written))
            homes[home].append(written)
    for number, row in enumerate(rows.rows):
        reasons = rows.reasons[number].values()
        _finish(row, texts[number], homes[number], _why(reasons, number in wrote), outcomes)


def write_image_texts(rows: ChainRows, chain: Chain, outcomes: Outcomes) -> None:
    """What was written of images alone: rows of `written_captions` and of `text_triplets`."""
    for key in sorted({key for key, _ in rows.said}):
        for task, _ in chain.tasks:
            # Several tasks may caption an image: each row says what its own task wrote.
            if (key, task.name) not in rows.said:
                continue
            facts, source = rows.said[key, task.name]
            made = {"method": task.name, "model": source.model, "prompt": source.prompt}
            place = {"page_id": key[0], "image_id": key[1]}
            if task.name.startswith("caption") and facts.get("caption"):
                outcomes.row("written_captions", {**place, "text": facts["caption"], **made})
            if triplet := facts.get("text_triplet" if task.name == "text_triplets" else ""):
                name = digest("text_triplet", *(triplet[part] for part in ("caption", "edit", "edited")))[:32]
                outcomes.row("text_triplets", {"text_triplet_id": name, **place, **triplet, **made})
                outcomes.out("text_triplet")


def instruction_of(written: Written) -> dict[str, Any]:
    """A text as `instructions` hold it, not verified yet."""
    candidate, source = written.candidate, written.source
    count = len(words(candidate.text))
    return {
        "text": candidate.text,
        "category": candidate.category,
        "direction": candidate.direction,
        "length": candidate.length or ("short" if count <= 8 else "medium" if count <= 20 else "fine"),
        "method": written.method,
        "model": source.model if source is not None else None,
        "prompt": source.prompt if source is not None else None,
        "score": candidate.score,
        "verdict": "unchecked",
    }


def parse_of(texts: Iterable[Mapping[str, Any]], written: Iterable[Written]) -> dict[str, Any]:
    """The columns of the parse: of the texts that are left the most precise one that has a parse, null without one."""
    left = {text["text"] for text in texts}
    parsed = [
        one.candidate
        for one in written
        if one.candidate.text in left
        and (one.candidate.keep or one.candidate.add or one.candidate.remove or one.candidate.change)
    ]
    if not parsed:
        return dict.fromkeys(PARSE)
    best = max(parsed, key=lambda one: LENGTHS.index(one.length) if one.length in LENGTHS else -1)
    named = {"parsed_text": best.text}
    return named | {name: list(getattr(best, name)) for name in PARSE if name not in named}


def parse_left(row: Mapping[str, Any], texts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of the parse of a row of which only some texts are left."""
    if row.get("parsed_text") in {text["text"] for text in texts}:
        return {name: row.get(name) for name in PARSE}
    return dict.fromkeys(PARSE)


def _why(reasons: Iterable[Unanswered], wrote: bool) -> Unanswered:
    """Why a pair has no text: what may change comes first, then texts that were not good enough."""
    found = list(reasons)
    waiting = passing(found)
    if waiting is not None:
        return waiting
    unread = any(one.reason == "unparsable_answer" for one in found)
    return Unanswered("no_good_text") if wrote or unread or not found else found[-1]


def _finish(
    row: Mapping[str, Any],
    texts: list[dict[str, Any]],
    written: list[Written],
    why: Unanswered,
    outcomes: Outcomes,
) -> None:
    outcomes.entered("pair")
    kept: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    # Better scores first; a sort keeps the order in which tasks and models gave equal ones.
    for text in sorted(texts, key=lambda text: -(text["score"] if text["score"] is not None else 0.0)):
        same = tuple(words(text["text"]))
        if same in seen:
            _reject(outcomes, "duplicate", row, text["text"], text["text"])
            continue
        seen.add(same)
        kept.append(text)
    outcomes.kept("text", len(kept))
    if not kept:
        why.tell(outcomes, "pair", id=row["pair_id"], url=row["page_url"])
        return
    best = kept[0]["text"]
    outcomes.row(
        "triplets",
        {
            **columns_of_pair(row),
            "triplet_id": triplet_id(row["pair_id"], best),
            "instruction": best,
            "instructions": kept,
            **parse_of(kept, written),
        },
    )
    outcomes.kept("pair")
    outcomes.out("triplet")


def columns_of_pair(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `pairs` without the facts that steps have added to it."""
    return {name: row[name] for name in PAIRS.schema.names if name in row}


def _reject(outcomes: Outcomes, reason: str, row: Mapping[str, Any], text: str, detail: str) -> None:
    name = digest("text", row["pair_id"], text)[:32]
    outcomes.rejected("text", reason, id=name, url=row["page_url"], detail=detail)
