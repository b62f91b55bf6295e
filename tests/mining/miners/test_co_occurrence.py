"""Pairs of images that stand on one page."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import made_places as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.mine_config import CoOccurrenceConfig
from mining.miners.co_occurrence import CoOccurrence, spread_order
from mining.miners.interface import Pair
from mining.places import EligibleImage, ImageFacts
from schemas.outcomes import CollectedOutcomes

OPEN = CoOccurrenceConfig(visual_min=-1, visual_max=0.99, text_min=-1, text_max=0.99)


def mine(
    images: list[EligibleImage], config: CoOccurrenceConfig = OPEN
) -> tuple[list[Pair], dict[str, int], CollectedOutcomes]:
    outcomes = CollectedOutcomes()
    pairs = list(CoOccurrence(config).mine(made.page(), images, outcomes))
    entry = outcomes.counts.entry("candidate_pair")
    assert entry.entered == len(images) * (len(images) - 1)
    assert entry.kept == len(pairs)
    assert outcomes.counts.unbalanced() == []
    return pairs, dict(entry.rejected), outcomes


def gallery(count: int, *, texted: bool = True) -> list[EligibleImage]:
    return [
        made.eligible(index, made.facts(f"picture {index}"), f"text {index}" if texted else None)
        for index in range(count)
    ]


def test_two_related_images_give_both_directions() -> None:
    pairs, rejected, _ = mine(gallery(2))
    assert {(pair.query.position, pair.target.position) for pair in pairs} == {(0, 1), (1, 0)}
    assert rejected == {}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"visual_max": 0.3}, "visually_too_similar"),
        ({"visual_min": 0.98}, "visually_unrelated"),
        ({"text_max": -0.9}, "texts_too_similar"),
        ({"text_min": 0.98}, "texts_unrelated"),
    ],
)
def test_windows_drop_pairs_with_their_reason(config: dict[str, float], reason: str) -> None:
    pairs, rejected, outcomes = mine(gallery(2), OPEN.model_copy(update=config))
    assert pairs == []
    assert rejected == {reason: 2}
    assert len(outcomes.rows("rejected")) == 0, "only a sample is stored, when the shard ends"
    outcomes.finish()
    assert {row["reason"] for row in outcomes.rows("rejected")} == {reason}


def test_missing_texts_leave_the_text_similarity_null_and_a_setting_drops_them() -> None:
    pairs, _, _ = mine(gallery(2, texted=False))
    assert [pair.text_similarity for pair in pairs] == [None, None]
    assert mine(gallery(2, texted=False), OPEN.model_copy(update={"untexted": "drop"}))[1] == {"no_text": 2}


def test_pairs_with_both_texts_are_taken_before_others() -> None:
    images = [*gallery(8, texted=False), *[made.eligible(20 + n, made.facts(f"t{n}"), f"text {n}") for n in range(3)]]
    pairs, _, _ = mine(images, OPEN.model_copy(update={"pairs_per_page": 6}))
    assert all(pair.text_similarity is not None for pair in pairs)
    mixed, _, _ = mine(images, OPEN.model_copy(update={"pairs_per_page": 6, "untexted": "equal"}))
    assert any(pair.text_similarity is None for pair in mixed)


def test_pairs_of_a_long_page_are_spread_over_queries_and_targets() -> None:
    pairs, rejected, _ = mine(gallery(60))
    queries = sorted(pair.query.position for pair in pairs)
    assert len(set(queries)) == 10
    assert queries[0] < 10
    assert queries[-1] > 50
    assert len({pair.target.position for pair in pairs}) == 10
    assert set(rejected) == {"page_cap"}


def test_keeping_directions_together_gives_every_pair_its_reverse() -> None:
    pairs, _, _ = mine(gallery(9), OPEN.model_copy(update={"both_directions": "keep"}))
    ordered = {(pair.query.image_id, pair.target.image_id) for pair in pairs}
    assert len(ordered) == 10
    assert {(target, query) for query, target in ordered} == ordered


def test_dropping_a_direction_leaves_one_of_each_pair() -> None:
    pairs, rejected, _ = mine(gallery(4), OPEN.model_copy(update={"both_directions": "drop"}))
    unordered = Counter(frozenset((pair.query.image_id, pair.target.image_id)) for pair in pairs)
    assert max(unordered.values()) == 1
    assert rejected["reversed_direction"] == len(pairs) == 6


@given(
    st.lists(made.image_facts(), max_size=14, unique_by=lambda known: known.image_id),
    st.sampled_from(["independent", "keep", "drop"]),
    st.integers(1, 12),
    st.integers(1, 4),
    st.booleans(),
)
def test_caps_hold_and_pairs_are_distinct_and_inside_the_windows(
    known: list[ImageFacts], directions: str, page_cap: int, query_cap: int, texted: bool
) -> None:
    config = CoOccurrenceConfig(
        visual_min=0.3,
        visual_max=0.95,
        both_directions=directions,
        pairs_per_page=page_cap,
        pairs_per_query=query_cap,
    )
    images = [
        made.eligible(index, one, f"text {index}" if texted or index % 2 else None) for index, one in enumerate(known)
    ]
    pairs, _, _ = mine(images, config)
    assert len(pairs) <= page_cap
    assert max(Counter(pair.query.image_id for pair in pairs).values(), default=0) <= query_cap
    assert len({pair.pair_id for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert pair.query.image_id != pair.target.image_id
        assert config.visual_min <= pair.visual_similarity <= config.visual_max
        assert pair.text_similarity is None or config.text_min <= pair.text_similarity <= config.text_max


@given(st.integers(0, 70))
def test_every_beginning_of_the_spread_order_covers_the_range(count: int) -> None:
    order = spread_order(count)
    assert sorted(order) == list(range(count))
    if count >= 8:
        beginning = sorted(order[:4])
        assert max(second - first for first, second in itertools.pairwise(beginning)) <= count // 2 + 1


def test_a_closed_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        CoOccurrenceConfig(visual_min=0.9, visual_max=0.5)


def test_random_input_order_of_equal_positions_is_not_needed() -> None:
    images = gallery(12)
    shuffled = random.Random(1).sample(images, len(images))
    in_page_order = sorted(shuffled, key=lambda image: image.position)
    assert mine(in_page_order)[0] == mine(images)[0]
