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
from synthesis.requests import Variables
from synthesis.tasks import Candidate, Task
from synthesis.tasks.interface import UnparsableError
from synthesis.words import words


@dataclass(frozen=True)
class Answer:
    """What a model said to a request: its text, the prompt (name@version) and the model that it came from."""

    text: str
    prompt: str
    model: str


@dataclass(frozen=True)
class Unanswered:
    """Why there is no answer for a pair: nothing to ask, a request that was refused, or (`failed`) one that may work
    another time."""

    reason: str
    failed: bool = False


def write_triplets(
    pairs: Iterable[tuple[Mapping[str, Any], Answer | Unanswered]], task: Task, config: WriteConfig, outcomes: Outcomes
) -> None:
    """Pairs of whole pages, each with the answer to its request or the reason why it has none.

    Unit `text`: each text of an answer; rejected `unparsable_answer`, the filters' reasons, `no_reversed_pair`,
    `duplicate`. Unit `pair`: kept with a row of `triplets`; rejected `text_missing`, `nothing_new`, `no_answer`,
    `no_good_text`; failed with the error of its request.
    """
    listed = [(dict(pair), answer) for pair, answer in pairs]
    by_ends = {(pair["page_id"], pair["query_image_id"], pair["target_image_id"]): pair for pair, _ in listed}
    texts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for pair, answer in listed:
        if isinstance(answer, Unanswered):
            continue
        for candidate in _candidates(pair, answer, task, outcomes):
            home = pair
            if candidate.direction == "backward":
                reverse = (pair["page_id"], pair["target_image_id"], pair["query_image_id"])
                if reverse not in by_ends:
                    _reject(outcomes, "no_reversed_pair", pair, candidate.text, candidate.text)
                    continue
                home = by_ends[reverse]
            dropped = fault(candidate.text, home, config.filters)
            if dropped is not None:
                _reject(outcomes, dropped[0], home, candidate.text, dropped[1])
                continue
            texts[home["pair_id"]].append(_instruction(candidate, answer))
    for pair, answer in listed:
        _finish(pair, answer, texts[pair["pair_id"]], outcomes)


def _candidates(pair: Mapping[str, Any], answer: Answer, task: Task, outcomes: Outcomes) -> list[Candidate]:
    try:
        found = list(task.format_output(answer.text, Variables.of_pair(pair)))
    except UnparsableError as error:
        outcomes.entered("text")
        outcomes.rejected("text", "unparsable_answer", id=pair["pair_id"], url=pair["page_url"], detail=str(error))
        return []
    outcomes.entered("text", len(found))
    return found


def _finish(
    pair: Mapping[str, Any], answer: Answer | Unanswered, texts: list[dict[str, Any]], outcomes: Outcomes
) -> None:
    outcomes.entered("pair")
    kept: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    # Better scores first; a sort keeps the order in which a model gave equal ones.
    for text in sorted(texts, key=lambda text: -(text["score"] if text["score"] is not None else 0.0)):
        same = tuple(words(text["text"]))
        if same in seen:
            _reject(outcomes, "duplicate", pair, text["text"], text["text"])
            continue
        seen.add(same)
        kept.append(text)
    outcomes.kept("text", len(kept))
    if not kept:
        name, url = pair["pair_id"], pair["page_url"]
        if isinstance(answer, Answer):
            outcomes.rejected("pair", "no_good_text", id=name, url=url)
        elif answer.failed:
            outcomes.failed("pair", answer.reason, id=name, url=url)
        else:
            outcomes.rejected("pair", answer.reason, id=name, url=url)
        return
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


def _reject(outcomes: Outcomes, reason: str, pair: Mapping[str, Any], text: str, detail: str) -> None:
    name = digest("text", pair["pair_id"], text)[:32]
    outcomes.rejected("text", reason, id=name, url=pair["page_url"], detail=detail)
