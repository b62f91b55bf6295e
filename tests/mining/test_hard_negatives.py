"""Hard negatives of a pair."""

from __future__ import annotations

import random

import made_places as made
from hypothesis import given
from hypothesis import strategies as st

from mining.hard_negatives import hard_negatives, make_pool
from mining.mine_config import HardNegativesConfig, MineConfig
from mining.places import ImageFacts
from mining.similarity import cosines, sketch_matrix


def config(**fields: object) -> MineConfig:
    return MineConfig(hard_negatives=HardNegativesConfig(**fields))


def like_target(name: str, share: float) -> ImageFacts:
    return made.facts(name, sketch=made.sketch(int(made.image_id(name)[:6], 16), like=500, share=share))


QUERY = like_target("query", 0.3)
TARGET = made.facts("target", sketch=made.sketch(500))


def similarity(one: ImageFacts, other: ImageFacts) -> float:
    return float(cosines(sketch_matrix([one.sketch]), sketch_matrix([other.sketch]))[0, 0])


def test_the_query_comes_first_then_the_most_similar_to_the_target() -> None:
    others = [like_target(f"n{number}", number / 20) for number in range(9)]
    chosen = hard_negatives(QUERY, TARGET, [make_pool([QUERY, TARGET, *others])], config(similarity_max=1))
    best = sorted(others, key=lambda one: -similarity(one, TARGET))[:5]
    assert chosen == [QUERY.image_id, *(one.image_id for one in best)]


def test_images_above_the_guard_are_left_out() -> None:
    false_negative, fine = like_target("false", 0.8), like_target("fine", 0.2)
    assert similarity(false_negative, TARGET) > 0.7
    assert hard_negatives(QUERY, TARGET, [make_pool([false_negative, fine])], config(similarity_max=0.7)) == [
        QUERY.image_id,
        fine.image_id,
    ]


def test_near_duplicates_of_the_query_are_left_out() -> None:
    copy = made.facts("copy of the query", phash=QUERY.phash ^ 1, sketch=QUERY.sketch)
    assert hard_negatives(QUERY, TARGET, [make_pool([copy])], config()) == [QUERY.image_id]


def test_the_site_fills_up_what_the_page_lacks() -> None:
    page = [like_target(f"page{number}", 0.05) for number in range(2)]
    site = [like_target(f"site{number}", 0.3) for number in range(9)]
    chosen = hard_negatives(QUERY, TARGET, [make_pool(page), make_pool([*page, *site])], config(similarity_max=1))
    assert len(chosen) == len(set(chosen)) == 6
    assert set(chosen[1:3]) == {one.image_id for one in page}
    assert hard_negatives(QUERY, TARGET, [make_pool(page)], config(count=0)) == [QUERY.image_id]


@given(st.lists(made.image_facts(), min_size=2, max_size=20), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_list_is_bounded_distinct_free_of_the_target_and_independent_of_order(
    known: list[ImageFacts], count: int, shuffle: random.Random
) -> None:
    query, target = known[0], known[1]
    settings = config(count=count)
    chosen = hard_negatives(query, target, [make_pool(known)], settings)
    assert chosen == hard_negatives(query, target, [make_pool(shuffle.sample(known, len(known)))], settings)
    assert chosen[0] == query.image_id
    assert len(chosen) == len(set(chosen)) <= 1 + count
    assert target.image_id not in chosen[1:]
    by_id = {one.image_id: one for one in known}
    assert all(similarity(by_id[one], target) <= settings.hard_negatives.similarity_max for one in chosen[1:])


@given(st.lists(made.image_facts(), max_size=20), st.integers(0, 6), st.randoms(use_true_random=False))
def test_a_limited_pool_does_not_depend_on_order(known: list[ImageFacts], limit: int, shuffle: random.Random) -> None:
    pool = make_pool(known, limit)
    assert pool.images == make_pool(shuffle.sample(known, len(known)), limit).images
    assert len(pool.images) == min(limit, len({one.image_id for one in known}))
