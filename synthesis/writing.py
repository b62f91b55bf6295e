"""Pairs and answers to triplets: parsing, filters, backward texts, the best text of each pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.ids import digest, triplet_id
from schemas.outcomes import Outcomes
from synthesis.config import WriteConfig
from synthesis.filters import fault
from synthesis.tasks import Candidate, Task
from synthesis.tasks.interface import UnparsableError
from synthesis.words import words


@dataclass(frozen=True)
class Answer:
    """What a model said to a request: its text, the prompt (name@version) and the model that it came from."""

    text: str
    prompt: str
    model: str


def write_triplets(
    pairs: Iterable[tuple[Mapping[str, Any], str | None, Answer | None]],
    task: Task,
    config: WriteConfig,
    outcomes: Outcomes,
) -> None:
    """Pairs of whole pages, each with the id of its request (None: nothing was asked) and the answer to it.

    Unit `text`: each text of an answer; rejected `unparsable_answer`, the filters' reasons, `no_reversed_pair`,
    `duplicate`. Unit `pair`: kept with a row of `triplets`, or rejected `nothing_to_ask`, `no_answer`, `no_text`.
    """
    listed = [(dict(pair), asked, answer) for pair, asked, answer in pairs]
    by_ends = {(pair["page_id"], pair["query_image_id"], pair["target_image_id"]): pair for pair, _, _ in listed}
    texts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for pair, _, answer in listed:
        if answer is None:
            continue
        for candidate in _candidates(pair, answer, task, outcomes):
            home = pair
            if candidate.direction == "backward":
                reverse = (pair["page_id"], pair["target_image_id"], pair["query_image_id"])
                if reverse not in by_ends:
                    _reject(outcomes, "no_reversed_pair", pair, candidate.text)
                    continue
                home = by_ends[reverse]
            dropped = fault(candidate.text, home, config.filters)
            if dropped is not None:
                _reject(outcomes, dropped[0], home, candidate.text)
                continue
            texts[home["pair_id"]].append(_instruction(candidate, answer))
    for pair, asked, answer in listed:
        _finish(pair, asked, answer, texts[pair["pair_id"]], outcomes)


def _candidates(pair: Mapping[str, Any], answer: Answer, task: Task, outcomes: Outcomes) -> list[Candidate]:
    try:
        found = list(task.format_output(answer.text))
    except UnparsableError as error:
        outcomes.entered("text")
        outcomes.rejected("text", "unparsable_answer", id=pair["pair_id"], url=pair["page_url"], detail=str(error))
        return []
    outcomes.entered("text", len(found))
    return found


def _finish(
    pair: Mapping[str, Any], asked: str | None, answer: Answer | None, texts: list[dict[str, Any]], outcomes: Outcomes
) -> None:
    outcomes.entered("pair")
    kept: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for text in texts:
        same = tuple(words(text["text"]))
        if same in seen:
            _reject(outcomes, "duplicate", pair, text["text"])
            continue
        seen.add(same)
        kept.append(text)
    outcomes.kept("text", len(kept))
    if not kept:
        reason = "nothing_to_ask" if asked is None else "no_answer" if answer is None else "no_text"
        outcomes.rejected("pair", reason, id=pair["pair_id"], url=pair["page_url"])
        return
    # Better scores first; a sort keeps the order in which a model gave equal ones.
    kept.sort(key=lambda text: -(text["score"] if text["score"] is not None else 0.0))
    best = kept[0]["text"]
    outcomes.row(
        "triplets", {**pair, "triplet_id": triplet_id(pair["pair_id"], best), "instruction": best, "instructions": kept}
    )
    outcomes.kept("pair")
    outcomes.out("triplet")


def _instruction(candidate: Candidate, answer: Answer) -> dict[str, Any]:
    count = len(words(candidate.text))
    return {
        "text": candidate.text,
        "category": candidate.category,
        "direction": candidate.direction,
        "length": "short" if count <= 8 else "medium" if count <= 20 else "fine",
        "method": candidate.method,
        "model": answer.model,
        "prompt": answer.prompt,
        "score": candidate.score,
        "verdict": "unchecked",
    }


def _reject(outcomes: Outcomes, reason: str, pair: Mapping[str, Any], text: str) -> None:
    name = digest("text", pair["pair_id"], text)[:32]
    outcomes.rejected("text", reason, id=name, url=pair["page_url"], detail=text)
