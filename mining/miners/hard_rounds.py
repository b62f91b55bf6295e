"""Pairs and hard negatives from the mistakes of a trained retriever, after ReCALL.

A model that was trained on the dataset answers its own train triplets. Where the target is not the first answer, the
images before it are what the model cannot tell from it yet: they become hard negatives of the pair, and partners of new
pairs that differ in just what it does not see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mining.eligibility import near_duplicates
from mining.mine_config import MineConfig
from mining.miners.interface import Found
from mining.places import ImageFacts
from mining.similarity import DECIMALS, cosines, sketch_matrix
from schemas.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a model answered a query (an image with a text): the nearest images, nearest first, ties by id, the query
    image left out; cosines rounded to 4 decimals; and the target's, which may lie behind them."""

    query_id: str
    target_id: str
    text: str
    ids: tuple[str, ...]
    scores: tuple[float, ...]
    target_score: float

    @property
    def before(self) -> tuple[str, ...]:
        """The answers that score strictly higher than the target."""
        return tuple(one for one, score in zip(self.ids, self.scores, strict=True) if score > self.target_score)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A query whose target was not first. `rank`: the target's, counted from 1; `deep`: it lies behind all stored
    answers, and the rank is the least that it can be; `wrong`: each wrong answer with its rank and how far it scored
    above the target, nearest first."""

    query_id: str
    target_id: str
    rank: int
    deep: bool
    wrong: tuple[tuple[str, int, float], ...]

    @property
    def said(self) -> str:
        """The target's rank in words."""
        return f"{'beyond ' if self.deep else ''}{self.rank - 1 if self.deep else self.rank}"


class HardRounds:
    """Mistakes of a model, and what is made of them."""

    name = "hard_rounds"

    def __init__(self, config: MineConfig) -> None:
        self._config, self._own = config, config.hard_rounds

    def mistake(self, ranking: Ranking, facts: Mapping[str, ImageFacts], right: Collection[str] = ()) -> Mistake | None:
        """The mistake of a ranking, None where the target is first among what counts.

        No wrong answers are images that look the same as query or target, the targets of equal queries (`right`), and
        images that the corpus has no more. None too where query or target is such an image."""
        query, target = facts.get(ranking.query_id), facts.get(ranking.target_id)
        before = ranking.before
        if query is None or target is None or not before:
            return None
        scores = dict(zip(ranking.ids, ranking.scores, strict=True))
        wrong = []
        for rank, one in enumerate(before, start=1):
            known = facts.get(one)
            if known is None or one in right or near_duplicates(known, [query, target], self._config).any():
                continue
            wrong.append((one, rank, round(scores[one] - ranking.target_score, DECIMALS)))
        if not wrong:
            return None
        deep = len(before) == len(ranking.ids)
        return Mistake(ranking.query_id, ranking.target_id, 1 + len(before), deep, tuple(wrong))

    def negatives(self, mistake: Mistake, facts: Mapping[str, ImageFacts]) -> tuple[str, ...]:
        """The wrong answers that become hard negatives of the pair, nearest first: those that are no more similar to
        the target than the false-negative guard allows, for others may be right answers too."""
        guard = self._config.hard_negatives.similarity_max
        ids = [one for one, _, _ in mistake.wrong]
        similar = _similarities(facts[mistake.target_id], [facts[one] for one in ids])
        kept = [one for one, score in zip(ids, similar, strict=True) if score <= guard]
        return tuple(kept[: self._own.negatives])

    def find(
        self, mistake: Mistake, facts: Mapping[str, ImageFacts], round_name: str, outcomes: Outcomes
    ) -> Iterator[Found]:
        """New pairs near a mistake: from the query to the nearest wrong answers, and between these and the target in
        both directions. Those left out of a pair are its hard negatives. The score is how far the wrong answer
        scored above the target. `round_name` stands in `why`.

        Reasons of `candidate_pair`: `visually_unrelated`, `visually_too_similar`."""
        chosen = mistake.wrong[: self._own.answers]
        partners = [facts[one] for one, _, _ in chosen]
        by_query = _similarities(facts[mistake.query_id], partners)
        by_target = _similarities(facts[mistake.target_id], partners)
        for (one, rank, margin), to_query, to_target in zip(chosen, by_query, by_target, strict=True):
            others = tuple(other for other, _, _ in mistake.wrong if other != one)
            why = f"{round_name}: answer {rank} where the target came {mistake.said}"
            planned = []
            if self._own.from_query:
                planned.append((mistake.query_id, one, to_query, (mistake.target_id, *others), why))
            if self._own.with_target:
                taken = f"{round_name}: taken for each other, answer {rank} where the target came {mistake.said}"
                planned.append((mistake.target_id, one, to_target, (mistake.query_id, *others), taken))
                planned.append((one, mistake.target_id, to_target, (mistake.query_id, *others), taken))
            for first, second, similarity, negatives, words in planned:
                outcomes.entered("candidate_pair")
                if reason := self._outside(similarity):
                    outcomes.rejected("candidate_pair", reason, id=f"{first} {second}", detail=f"{similarity:.4f}")
                    continue
                outcomes.kept("candidate_pair")
                yield Found(first, second, margin, words, negatives)

    def _outside(self, similarity: float) -> str | None:
        if similarity < self._own.similarity_min:
            return "visually_unrelated"
        return "visually_too_similar" if similarity > self._own.similarity_max else None


def best_of_each_pair(found: Sequence[Found]) -> list[Found]:
    """Of several finds of one ordered pair the one with the widest margin, ties by its words; sorted by pair."""
    best: dict[tuple[str, str], Found] = {}
    for one in found:
        place = (one.query_id, one.target_id)
        before = best.get(place)
        if before is None or (-one.score, one.why) < (-before.score, before.why):
            best[place] = one
    return [best[place] for place in sorted(best)]


def _similarities(image: ImageFacts, others: Sequence[ImageFacts]) -> list[float]:
    """Cosines of an image with others, rounded to 4 decimals."""
    if not others:
        return []
    found: list[float] = cosines(sketch_matrix([image.sketch]), sketch_matrix([one.sketch for one in others]))[
        0
    ].tolist()
    return found
