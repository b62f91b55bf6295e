"""Embedding duplicates in parts and rounds: the plain verdict, however the images are cut and lists are cut."""

from __future__ import annotations

import random
from collections import defaultdict

import made_places as made
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.feature_duplicate_rounds import FeatureStanding, NearRow
from mining.near_duplicates import feature_duplicates_of
from mining.near_lists import RANK, NearLists, Side, id_of, near_lists, rank_bytes
from mining.search.index import IndexPlan, fill, train
from mining.search.vectors import ImageColumns, ViewVectors, view_vectors

NO_TEXTS = np.zeros((0, 0), np.float32)


def vectors_of(names: list[str], sketches: np.ndarray) -> ViewVectors:
    order = np.argsort(names)
    ids = [names[one] for one in order]
    return view_vectors("image", ImageColumns(ids, sketches[order], np.zeros(len(ids), np.uint64), [], NO_TEXTS))


def rows_of(lists: NearLists, part: int, near_part: int) -> list[NearRow]:
    near = [one.tobytes() for one in lists.near]
    ends = np.cumsum(lists.lengths)
    starts = ends - lists.lengths
    return [
        NearRow(rank.tobytes(), part, near[start:end], near_part, bool(cut))
        for rank, start, end, cut in zip(lists.ranks, starts, ends, lists.cut, strict=True)
    ]


def searched(sides: list[Side], bound: float, limit: int, probes: int) -> list[NearRow]:
    rows = []
    for one in range(len(sides)):
        for other in range(one, len(sides)):
            own, reverse = near_lists(sides[one], sides[other] if other > one else None, bound, limit, probes)
            rows += rows_of(own, one, other)
            rows += rows_of(reverse, other, one) if reverse else []
    return rows


def in_rounds(
    sides: list[Side], bound: float, limit: int, rng: random.Random, probes: int = 0
) -> tuple[dict[str, str], int, int]:
    """The verdict, and how many searches and rounds it took."""
    standings = [FeatureStanding(number) for number in range(len(sides))]
    searches = rounds = 0
    while True:
        rows = searched(sides, bound, limit, probes)
        assert all(len(row.near) <= limit for row in rows)
        searches += 1
        for number, standing in enumerate(standings):
            own = [row for row in rows if number in (row.part, row.near_part)]
            standing.learn(rng.sample(own, len(own)))
        while True:
            answers: dict[int, dict[bytes, bytes]] = defaultdict(dict)
            for standing in standings:
                for rank, part, told in standing.messages():
                    assert answers[part].setdefault(rank, told) == told
            if not answers:
                break
            rounds += 1
            for number, standing in enumerate(standings):
                standing.advance(answers[number])
        short = [{id_of(rank): after for rank, after in standing.short().items()} for standing in standings]
        if not any(short):
            break
        sides = [Side(side.vectors, side.ranks, side.index, after) for side, after in zip(sides, short, strict=True)]
        limit *= 2
    assert all(standing.settled for standing in standings)
    verdict: dict[str, str] = {}
    for standing in standings:
        for one, survivor in standing.rejected().items():
            assert verdict.setdefault(one, survivor) == survivor
    return verdict, searches, rounds


def plain(vectors: ViewVectors, areas: dict[str, int], bound: float) -> dict[str, str]:
    every = np.arange(len(vectors.ids))
    scores = vectors.scores(every, vectors, np.tile(every, (len(every), 1)))
    rows = ((vectors.ids[i], vectors.ids[j], float(scores[i, j])) for i in every for j in every)
    return feature_duplicates_of(areas, rows, bound)


def cut(vectors: ViewVectors, areas: dict[str, int], parts: list[list[int]], index: bytes | None = None) -> list[Side]:
    sides = []
    for rows in parts:
        own = vectors.take(sorted(rows))
        stored = None if index is None else fill(index, own)
        sides.append(Side(own, rank_bytes(own.ids, [areas[one] for one in own.ids]), stored))
    return sides


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 60),
    st.sampled_from([0.5, 0.8, 0.9, 0.97, 1.0]),
    st.integers(1, 4),
    st.sampled_from([1, 2, 3, 64]),
    st.integers(0, 9999),
)
def test_parts_come_to_the_plain_verdict(count, bound, parts, limit, seed):
    dice, rng = np.random.default_rng(seed), random.Random(seed)
    names = [made.image_id(str(number)) for number in range(count)]
    features = dice.normal(size=(4, 3))[dice.integers(0, 4, count)] + dice.normal(size=(count, 3)) * 0.4
    vectors = vectors_of(names, np.clip(features * 40, -127, 127).astype(np.int8).reshape(count, 3))
    areas = {one: int(dice.integers(1, 5)) for one in names}
    where: list[list[int]] = [[] for _ in range(parts)]
    for row in range(len(vectors.ids)):
        # Some images lie in two parts.
        for number in rng.sample(range(parts), rng.choice([1, 1, 1, min(2, parts)])):
            where[number].append(row)
    assert in_rounds(cut(vectors, areas, where), bound, limit, rng)[0] == plain(vectors, areas, bound)


def test_equal_images_are_settled_by_short_lists_in_one_search():
    names = [made.image_id(str(number)) for number in range(300)]
    vectors = vectors_of(names, np.ones((300, 8), np.int8))
    areas = {one: 1 + number % 7 for number, one in enumerate(names)}
    where = [list(range(start, 300, 3)) for start in range(3)]
    verdict, searches, rounds = in_rounds(cut(vectors, areas, where), 0.9, 4, random.Random(0))
    assert verdict == plain(vectors, areas, 0.9)
    assert (len(verdict), searches) == (299, 1)
    assert rounds <= 2


def test_lists_go_on_where_all_that_they_name_are_rejected():
    """Twenty images around one survivor are near the last one, which the survivor is not near."""
    angles = [0.0, *(20.0 + number / 10 for number in range(20)), 40.0]
    sketches = np.array([[np.cos(np.radians(one)) * 120, np.sin(np.radians(one)) * 120] for one in angles])
    names = [made.image_id(str(number)) for number in range(len(angles))]
    vectors = vectors_of(names, np.rint(sketches).astype(np.int8))
    areas = {one: 100 - number for number, one in enumerate(names)}
    bound = float(np.cos(np.radians(25)))
    where = [list(range(start, len(names), 2)) for start in range(2)]
    verdict, searches, _ = in_rounds(cut(vectors, areas, where), bound, 2, random.Random(0))
    assert verdict == plain(vectors, areas, bound) == dict.fromkeys(sorted(names[1:-1]), names[0])
    assert searches > 1


def test_an_index_of_cells_finds_the_same_pairs_from_both_sides_whatever_the_parts():
    dice = np.random.default_rng(3)
    names = [made.image_id(str(number)) for number in range(600)]
    features = dice.normal(size=(60, 16))[dice.integers(0, 60, 600)] + dice.normal(size=(600, 16)) * 0.25
    vectors = vectors_of(names, np.clip(features * 40, -127, 127).astype(np.int8))
    areas = {one: int(dice.integers(1, 99)) for one in names}
    trained = train(vectors.search, IndexPlan(16))
    whole = [list(range(600))]
    verdicts = [
        in_rounds(cut(vectors, areas, where, trained), 0.85, 3, random.Random(0), probes)[0]
        for probes in (1, 16)
        for where in (whole, [list(range(start, 600, 4)) for start in range(4)])
    ]
    assert verdicts[0] == verdicts[1]
    assert verdicts[2] == verdicts[3] == plain(vectors, areas, 0.85)
    assert len(verdicts[0]) > 0.9 * len(verdicts[2]) > 100


def test_ranks_sort_as_their_bytes():
    dice = np.random.default_rng(0)
    ids = [made.image_id(str(number)) for number in range(50)]
    areas = dice.integers(0, 1 << 40, 50).tolist()
    areas[:10] = [areas[0]] * 10
    ranks = [one.tobytes() for one in rank_bytes(ids, areas)]
    assert {len(one) for one in ranks} == {RANK}
    assert [id_of(one) for one in sorted(ranks)] == [
        one for _, one in sorted(zip([-a for a in areas], ids, strict=True))
    ]
