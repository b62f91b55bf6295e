"""Neighbours under several views."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mining.miners.interface import Found, Neighbours
from mining.miners.neighbours import NeighboursConfig, NeighboursMiner
from mining.windows import Window
from schemas.outcomes import CollectedOutcomes

WINDOWS = {
    "image": Window(0.6, 0.95),
    "pattern": Window(0.65, 1.0),
    "caption": Window(0.5, 0.9),
    "text": Window(0.4, 0.9),
}
CAPTIONS = {"min": 0.5, "max": 0.9}


def find(lists: dict[str, list[tuple[str, float]]], **settings: object) -> tuple[list[Found], CollectedOutcomes]:
    outcomes = CollectedOutcomes()
    miner = NeighboursMiner(NeighboursConfig(**settings), WINDOWS)  # type: ignore[arg-type]
    near = {
        view: Neighbours(tuple(name for name, _ in one), tuple(score for _, score in one))
        for view, one in lists.items()
    }
    found = list(miner.find("first", near, outcomes))
    outcomes.finish()
    assert outcomes.counts.unbalanced() == []
    return found, outcomes


def test_targets_are_spread_over_the_window_and_others_are_negatives() -> None:
    near = [("a", 0.99), ("b", 0.9), ("c", 0.8), ("d", 0.7), ("e", 0.5), ("f", 0.4)]
    found, outcomes = find({"image": near}, negatives=2)
    assert [(one.target_id, one.score) for one in found] == [("b", 0.9), ("d", 0.7)]
    assert {one.negatives for one in found} == {("a", "e")}
    assert found[0].why == "image neighbour 2, similarity 0.9000 in [0.6000, 0.9500]"
    assert dict(outcomes.counts.entry("candidate_pair").rejected) == {"outside_window": 3, "query_cap": 1}


def test_what_one_view_of_looks_took_another_does_not_take_again() -> None:
    found, outcomes = find({"image": [("a", 0.9)], "pattern": [("a", 0.8), ("b", 0.7)]})
    assert [(one.target_id, one.why.split()[0]) for one in found] == [("a", "image"), ("b", "pattern")]
    assert dict(outcomes.counts.entry("candidate_pair").rejected) == {"in_another_view": 1}


def test_captions_are_of_the_image_and_looked_at_where_they_have_a_window() -> None:
    lists = {"image": [("a", 0.9)], "caption": [("a", 0.8), ("b", 0.7), ("c", 0.2)], "text": [("a", 0.8), ("b", 0.7)]}
    found, outcomes = find(lists, caption=CAPTIONS)
    assert [(one.target_id, one.why.split()[0]) for one in found] == [
        ("a", "image"),
        ("b", "caption"),
        ("a", "text"),
        ("b", "text"),
    ]
    assert found[1].negatives == ("c",)
    assert dict(outcomes.counts.entry("candidate_pair").rejected) == {"in_another_view": 1, "outside_window": 1}
    assert [one.why.split()[0] for one in find(lists)[0]] == ["image", "text", "text"]
    assert NeighboursConfig(caption=CAPTIONS, image=None, pattern=None, text=None).windows.keys() == {"caption"}


NEAR = st.dictionaries(st.sampled_from("abcdefghijklm"), st.integers(0, 100).map(lambda one: one / 100))
LISTS = st.dictionaries(st.sampled_from(sorted(WINDOWS)), NEAR)


@given(LISTS, st.integers(1, 4))
def test_texts_that_lie_in_another_part_give_the_same_pairs(lists: dict[str, dict[str, float]], cap: int) -> None:
    ordered = {view: sorted(near.items(), key=lambda one: (-one[1], one[0])) for view, near in lists.items()}
    settings = {"pairs_per_view": cap, "caption": CAPTIONS}
    together, _ = find(ordered, **settings)
    looks, _ = find({view: near for view, near in ordered.items() if view != "text"}, **settings)
    texts, _ = find({view: near for view, near in ordered.items() if view == "text"}, **settings)
    assert together == looks + texts


def test_a_view_without_a_window_is_not_looked_at() -> None:
    found, _ = find({"image": [("a", 0.9)], "text": [("b", 0.8)]}, image=None)
    assert [one.target_id for one in found] == ["b"]
    assert NeighboursMiner(NeighboursConfig(image=None, k=7), WINDOWS).views == {"pattern": 7, "text": 7}


@given(LISTS, st.integers(1, 4))
def test_windows_and_caps_hold_and_no_view_gives_a_pair_twice(lists: dict[str, dict[str, float]], cap: int) -> None:
    ordered = {view: sorted(near.items(), key=lambda one: (-one[1], one[0])) for view, near in lists.items()}
    found, _ = find(ordered, pairs_per_view=cap, caption=CAPTIONS)
    looks = [one.target_id for one in found if not one.why.startswith("text")]
    assert len(set(looks)) == len(looks)
    for view in lists:
        own = [one for one in found if one.why.startswith(view)]
        assert len(own) == len({one.target_id for one in own}) <= cap
        assert all(one.score in WINDOWS[view] and lists[view][one.target_id] == one.score for one in own)
        assert all(lists[view][other] not in WINDOWS[view] for one in own for other in one.negatives)
