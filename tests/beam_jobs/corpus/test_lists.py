"""Lists of neighbours as columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from beam_jobs.corpus.lists import ListColumns, by_image, id_bytes, joined
from mining.miners.interface import Neighbours
from mining.search.index import merge
from schemas.ids import digest

_IDS = sorted(digest("image", str(number)) for number in range(60))


def columns(lists: dict[str, Neighbours]) -> ListColumns:
    ids = [one for found in lists.values() for one in found.ids]
    return ListColumns(
        list(lists),
        np.array([len(found.ids) for found in lists.values()], np.int64),
        id_bytes(ids),
        np.array([score for found in lists.values() for score in found.scores], np.float64),
    )


def part(seed: int, near: list[str]) -> dict[str, Neighbours]:
    """Lists of ten images; scores of two decimals, so that many are equal, and some lists are empty."""
    dice = np.random.default_rng(seed)
    lists = {}
    for image_id in _IDS[:10]:
        names = dice.choice(near, dice.integers(0, 9), replace=False).tolist()
        pairs = sorted((-round(float(dice.integers(-3, 4)) / 100, 4), name) for name in names)
        lists[image_id] = Neighbours(tuple(name for _, name in pairs), tuple(0.0 - score for score, _ in pairs))
    return lists


@pytest.mark.parametrize("k", [1, 4, 100])
def test_joined_lists_equal_those_merged_one_by_one(k: int) -> None:
    parts = [part(1, _IDS[10:25]), part(2, _IDS[25:40]), part(3, _IDS[40:])]
    found = joined([columns(one) for one in parts], k)
    assert found.neighbours() == [merge([one[image_id] for one in parts], k) for image_id in _IDS[:10]]
    assert joined([columns(parts[0])], k).neighbours() == [merge([parts[0][one]], k) for one in _IDS[:10]]


def test_ids_that_begin_alike_tie_by_all_of_them() -> None:
    near = [f"{'ab' * 30}{end:04x}" for end in (7, 3, 5, 1)]
    parts = [columns({_IDS[0]: Neighbours((one,), (0.5,))}) for one in near]
    assert joined(parts, 3).neighbours()[0].ids == tuple(sorted(near)[:3])


def test_a_table_gives_back_what_was_written() -> None:
    lists = part(4, _IDS)
    written = columns(lists).table("image")
    assert written["view"].to_pylist() == ["image"] * 10
    for first, last in ((0, 10), (3, 7), (9, 10)):
        batch = written.slice(first, last - first).combine_chunks().to_batches()[0]
        assert ListColumns.of(batch).neighbours() == list(lists.values())[first:last]


def test_views_come_together_by_image() -> None:
    every = part(5, _IDS)
    some = {name: found for place, (name, found) in enumerate(every.items()) if place in (1, 2, 6, 9)}

    def blocks(lists: dict[str, Neighbours], size: int) -> Iterator[ListColumns]:
        whole = columns(lists)
        for first in range(0, len(lists), size):
            yield whole.slice(first, min(first + size, len(lists)))

    seen: dict[str, list[str]] = {"image": [], "text": []}
    ends = []
    for block in by_image({"image": blocks(every, 3), "text": blocks(some, 2)}):
        for view, found in block.items():
            seen[view] += found.image_ids
        ends.append(
            (min(min(one.image_ids) for one in block.values()), max(max(one.image_ids) for one in block.values()))
        )
    assert seen == {"image": list(every), "text": list(some)}
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    assert list(by_image({})) == []
