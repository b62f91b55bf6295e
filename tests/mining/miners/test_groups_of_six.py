"""Greedy groups of similar images."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mining.miners.groups_of_six import GroupsOfSix, GroupsOfSixConfig
from mining.miners.interface import Found, Neighbours
from mining.windows import Window
from schemas.outcomes import CollectedOutcomes

WINDOW = Window(0.5, 0.95)


def lists(scores: list[float]) -> dict[str, Neighbours]:
    ordered = sorted(scores, reverse=True)
    return {"image": Neighbours(tuple(f"{number:02d}" for number in range(len(ordered))), tuple(ordered))}


def find(scores: list[float], **settings: object) -> tuple[list[Found], CollectedOutcomes]:
    outcomes = CollectedOutcomes()
    miner = GroupsOfSix(GroupsOfSixConfig(**settings), WINDOW)  # type: ignore[arg-type]
    found = list(miner.find("first", lists(scores), outcomes))
    outcomes.finish()
    assert outcomes.counts.unbalanced() == []
    return found, outcomes


SPREAD = [0.99, 0.94, 0.93, 0.90, 0.86, 0.85, 0.80, 0.70, 0.60, 0.4]


def test_members_are_taken_greedily_inside_the_window_and_a_step_apart() -> None:
    found, outcomes = find(SPREAD)
    assert {one.target_id for one in found if one.query_id == "first"} == {"01", "03", "04", "06", "07"}
    assert [(one.query_id, one.target_id) for one in found][5:] == [
        ("01", "03"),
        ("03", "04"),
        ("04", "06"),
        ("06", "07"),
    ]
    assert dict(outcomes.counts.entry("candidate_pair").rejected) == {
        "outside_window": 2,
        "within_step": 2,
        "group_full": 1,
    }
    assert outcomes.counts.entry("candidate_pair").kept == 9


def test_the_rest_of_the_group_are_negatives() -> None:
    for one in find(SPREAD)[0]:
        group = {"first", "01", "03", "04", "06", "07"}
        assert set(one.negatives) == group - {one.query_id, one.target_id}


def test_small_groups_are_dropped() -> None:
    found, outcomes = find([0.9, 0.8, 0.7, 0.6])
    assert found == []
    assert dict(outcomes.counts.entry("candidate_pair").rejected) == {"small_group": 4}
    assert len(find([0.9, 0.8, 0.7, 0.6], size=5)[0]) == 7


@given(
    st.lists(st.integers(0, 10_000).map(lambda one: one / 10_000), max_size=40),
    st.integers(0, 1000).map(lambda one: one / 10_000),
    st.integers(3, 8),
)
def test_windows_and_steps_hold(scores: list[float], step: float, size: int) -> None:
    found, _ = find(scores, step=step, size=size)
    near = dict(zip(lists(scores)["image"].ids, lists(scores)["image"].scores, strict=True))
    members = [one.target_id for one in found if one.query_id == "first"]
    assert len(members) in (0, size - 1)
    assert all(near[one] in WINDOW for one in members)
    assert all(round(near[one] - near[other], 4) >= step for one, other in pairwise(members))
    assert len({(one.query_id, one.target_id) for one in found}) == len(found)


def test_a_share_of_the_images_begins_groups_and_the_same_every_time() -> None:
    miner = GroupsOfSix(GroupsOfSixConfig(firsts=0.25), WINDOW)
    begun = [name for name in map(str, range(400)) if list(miner.find(name, lists(SPREAD), CollectedOutcomes()))]
    assert 60 <= len(begun) <= 140
    assert begun == [
        name for name in map(str, range(400)) if list(miner.find(name, lists(SPREAD), CollectedOutcomes()))
    ]


def test_an_image_without_features_has_no_group() -> None:
    miner = GroupsOfSix(GroupsOfSixConfig(), WINDOW)
    assert list(miner.find("first", {}, CollectedOutcomes())) == []
