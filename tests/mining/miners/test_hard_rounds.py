"""Mistakes of a model, made by hand: rankings in, negatives and pairs out."""

from __future__ import annotations

from dataclasses import replace

import made_places as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.corpus_pairs import harder
from mining.mine_config import MineConfig
from mining.miners.hard_rounds import HardRounds, Ranking, best_of_each_pair
from mining.places import ImageFacts
from mining.similarity import cosines, sketch_matrix
from schemas.outcomes import CollectedOutcomes

NAMES = [f"image {number}" for number in range(8)]
IDS = [made.image_id(name) for name in NAMES]
FACTS = {made.image_id(name): made.facts(name) for name in NAMES}
QUERY, TARGET, A, B, C, *_ = IDS


def config(own: dict[str, object] | None = None, guard: float = 1.0, **more: object) -> MineConfig:
    wide = {"similarity_min": -1.0, "similarity_max": 1.0}
    return MineConfig(hard_rounds={**wide, **(own or {})}, hard_negatives={"similarity_max": guard}, **more)


def ranking(ids: list[str], scores: list[float], target: float = 0.5) -> Ranking:
    return Ranking(QUERY, TARGET, "in winter", tuple(ids), tuple(scores), target)


def similarity(one: ImageFacts, other: ImageFacts) -> float:
    return float(cosines(sketch_matrix([one.sketch]), sketch_matrix([other.sketch]))[0, 0])


def test_a_target_that_is_first_or_shares_the_first_score_is_no_mistake() -> None:
    miner = HardRounds(config())
    assert miner.mistake(ranking([TARGET, A], [0.5, 0.4]), FACTS) is None
    assert miner.mistake(ranking([A, TARGET], [0.5, 0.5]), FACTS) is None
    assert miner.mistake(ranking([], []), FACTS) is None


def test_answers_before_the_target_are_wrong_with_rank_and_margin() -> None:
    found = HardRounds(config()).mistake(ranking([A, B, TARGET, C], [0.9, 0.7, 0.5, 0.1]), FACTS)
    assert found is not None
    assert found.wrong == ((A, 1, 0.4), (B, 2, 0.2))
    assert (found.rank, found.deep, found.said) == (3, False, "3")


def test_a_target_behind_all_stored_answers_is_said_so() -> None:
    found = HardRounds(config()).mistake(ranking([A, B], [0.9, 0.7]), FACTS)
    assert found is not None
    assert (found.deep, found.said) == (True, "beyond 2")


def test_near_duplicates_right_answers_and_lost_images_are_not_wrong() -> None:
    copy = replace(FACTS[TARGET], image_id=A)
    of_query = replace(FACTS[QUERY], image_id=B)
    miner, before = HardRounds(config()), ranking([A, B, C], [0.9, 0.8, 0.7])
    known = FACTS | {A: copy, B: of_query}
    found = miner.mistake(before, known)
    assert found is not None
    assert [one for one, _, _ in found.wrong] == [C]
    assert miner.mistake(before, known, {C, TARGET}) is None
    assert miner.mistake(before, {one: known[one] for one in known if one != C}) is None
    assert miner.mistake(before, {one: known[one] for one in known if one != TARGET}) is None


def test_negatives_are_the_nearest_wrong_answers_below_the_guard() -> None:
    alike = replace(FACTS[A], sketch=FACTS[TARGET].sketch)
    known = FACTS | {A: alike}
    answered = ranking([A, B, C], [0.9, 0.8, 0.7])
    open_miner, guarded = HardRounds(config({"negatives": 2})), HardRounds(config({"negatives": 2}, guard=0.95))
    mistake = open_miner.mistake(answered, known)
    assert mistake is not None
    assert open_miner.negatives(mistake, known) == (A, B)
    assert guarded.negatives(mistake, known) == (B, C)
    assert HardRounds(config({"negatives": 0})).negatives(mistake, known) == ()


def test_pairs_lead_from_the_query_and_between_target_and_wrong_answer() -> None:
    outcomes = CollectedOutcomes()
    miner = HardRounds(config({"answers": 1}))
    mistake = miner.mistake(ranking([A, B], [0.9, 0.7]), FACTS)
    assert mistake is not None
    found = list(miner.find(mistake, FACTS, "round 1, model abc", outcomes))
    assert [(one.query_id, one.target_id) for one in found] == [(QUERY, A), (TARGET, A), (A, TARGET)]
    assert [one.negatives for one in found] == [(TARGET, B), (QUERY, B), (QUERY, B)]
    assert {one.score for one in found} == {0.4}
    assert found[0].why == "round 1, model abc: answer 1 where the target came beyond 2"
    assert outcomes.counts.entry("candidate_pair").kept == 3


@pytest.mark.parametrize(
    ("own", "pairs"),
    [
        ({"from_query": False}, {(TARGET, A), (A, TARGET)}),
        ({"with_target": False}, {(QUERY, A)}),
        ({"answers": 0}, set()),
    ],
)
def test_each_kind_of_pair_can_be_left_out(own: dict[str, object], pairs: set[tuple[str, str]]) -> None:
    miner = HardRounds(config({"answers": 1} | own))
    mistake = miner.mistake(ranking([A], [0.9]), FACTS)
    assert mistake is not None
    found = miner.find(mistake, FACTS, "round", CollectedOutcomes())
    assert {(one.query_id, one.target_id) for one in found} == pairs


def test_of_several_finds_of_a_pair_the_widest_margin_stands() -> None:
    miner = HardRounds(config({"answers": 1, "with_target": False}))
    found = []
    for score in (0.6, 0.9, 0.8):
        mistake = miner.mistake(ranking([A], [score]), FACTS)
        assert mistake is not None
        found += miner.find(mistake, FACTS, "round", CollectedOutcomes())
    assert [one.score for one in best_of_each_pair(found)] == [0.4]
    assert best_of_each_pair(found[::-1]) == best_of_each_pair(found)


@given(
    st.lists(st.sampled_from(IDS[1:]), unique=True, max_size=7),
    st.floats(-0.4, 0.6),
    st.integers(0, 3),
    st.floats(0.1, 0.9),
)
def test_windows_and_counts_hold_for_every_pair(ids: list[str], low: float, answers: int, target: float) -> None:
    own = {"similarity_min": low, "similarity_max": low + 0.3, "answers": answers}
    miner, outcomes = HardRounds(config(own)), CollectedOutcomes()
    scores = [round(0.95 - place / 10, 4) for place in range(len(ids))]
    mistake = miner.mistake(ranking(ids, scores, round(target, 4)), FACTS)
    if mistake is None:
        return
    found = list(miner.find(mistake, FACTS, "round", outcomes))
    assert len(found) <= 3 * answers
    assert len({(one.query_id, one.target_id) for one in found}) == len(found)
    for one in found:
        assert low <= similarity(FACTS[one.query_id], FACTS[one.target_id]) <= low + 0.3
        assert one.query_id != one.target_id
        assert not {one.query_id, one.target_id} & set(one.negatives)
    assert outcomes.counts.unbalanced() == []


def test_wrong_answers_go_before_other_negatives_and_the_query_stays_first() -> None:
    row = {"query_image_id": QUERY, "target_image_id": TARGET, "hard_negatives": [QUERY, A, B]}
    mine = MineConfig(hard_negatives={"count": 3})
    assert harder(row, [C, B], mine) == [QUERY, C, B, A]
    assert harder(row, [TARGET, QUERY], mine) == [QUERY, A, B]
    assert harder(row, [], mine) == [QUERY, A, B]
    assert harder(row, [C, B, IDS[6]], MineConfig(hard_negatives={"count": 1})) == [QUERY, C]


def test_a_window_that_is_shut_is_refused() -> None:
    with pytest.raises(ValueError, match="similarity_min must lie below"):
        MineConfig(hard_rounds={"similarity_min": 0.9, "similarity_max": 0.5})
