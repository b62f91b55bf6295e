"""Plans of batches: what every one of them holds, whatever the pages."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from training.data.batches import BatchPlan

page_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=25)
windows = st.lists(page_sizes, min_size=1, max_size=4)
quick = settings(max_examples=60, deadline=None)


def pages_of(sizes: list[int], seed: int = 0) -> np.ndarray:
    """A page's number for each row, rows of a page scattered."""
    pages = np.repeat(np.arange(len(sizes), dtype=np.uint64) * 977, sizes)
    return np.random.default_rng(seed).permutation(pages)


def plan_of(given_windows, batch, how, processes=1, seed=0) -> BatchPlan:
    counts = (np.unique(pages_of(one), return_counts=True)[1] for one in given_windows)
    return BatchPlan(counts, batch, how, processes, seed)


@quick
@given(windows, st.integers(1, 16), st.sampled_from(["distinct", "same", "any"]), st.integers(0, 3))
def test_batches_of_an_epoch_are_full_and_hold_no_row_twice(given_windows, batch, how, seed):
    plan = plan_of(given_windows, batch, how, seed=seed)
    met: Counter[tuple[int, int]] = Counter()
    for step in range(plan.batches):
        epoch, window, number = plan.place(step)
        assert epoch == 0
        rows = plan.batches_of(epoch, window, pages_of(given_windows[window]))[number]
        most = len(given_windows[window]) if how == "distinct" else sum(given_windows[window])
        assert len(rows) == plan.sizes[window] == min(batch, most)
        met.update((window, int(row)) for row in rows)
        if how == "distinct":
            assert len(set(pages_of(given_windows[window])[rows])) == len(rows)
    assert set(met.values()) <= {1}
    assert plan.place(plan.batches)[0] == 1


@quick
@given(page_sizes, st.integers(1, 12), st.integers(0, 3))
def test_as_many_batches_of_distinct_pages_as_can_be(sizes, batch, seed):
    plan = plan_of([sizes], batch, "distinct", seed=seed)
    size, count = plan.sizes[0], plan.batches
    assert sum(min(one, count) for one in sizes) >= size * count
    assert sum(min(one, count + 1) for one in sizes) < size * (count + 1)


@quick
@given(page_sizes, st.integers(1, 8))
def test_every_row_is_met_over_the_epochs(sizes, batch):
    plan = plan_of([sizes], batch, "distinct")
    pages = pages_of(sizes)
    met = Counter(int(row) for epoch in range(150) for rows in plan.batches_of(epoch, 0, pages) for row in rows)
    assert set(met) == set(range(sum(sizes)))


def test_rows_of_a_heavy_page_take_turns_evenly():
    """A page of 40 rows among 10 of one row: each batch of 5 has at most one of the 40."""
    sizes = [40, *[1] * 10]
    plan, pages = plan_of([sizes], 5, "distinct"), pages_of([40, *[1] * 10])
    heavy = np.flatnonzero(pages == 0)
    met = Counter(int(row) for epoch in range(400) for rows in plan.batches_of(epoch, 0, pages) for row in rows)
    times = np.array([met[int(row)] for row in heavy])
    assert times.min() > 0.4 * times.mean()
    assert times.max() < 1.8 * times.mean()


@quick
@given(page_sizes, st.integers(1, 16))
def test_batches_of_same_pages_hold_whole_pages_but_for_the_first_and_the_last(sizes, batch):
    plan, pages = plan_of([sizes], batch, "same"), pages_of(sizes)
    total = Counter(pages.tolist())
    for rows in plan.batches_of(3, 0, pages):
        order = list(dict.fromkeys(pages[rows].tolist()))
        assert [pages[row] for row in rows] == sorted(pages[rows].tolist(), key=order.index), "rows of a page together"
        held = Counter(pages[rows].tolist())
        assert all(held[page] == total[page] for page in order[1:-1])


@quick
@given(windows, st.integers(1, 4), st.sampled_from(["distinct", "same", "any"]), st.integers(2, 4))
def test_processes_share_the_batches_of_one(given_windows, own, how, processes):
    """Where windows are large enough, so many processes with `own` rows each have the batches of one with all."""
    batch = own * processes
    large = [[*one, *[1] * batch] for one in given_windows]
    together, alone = plan_of(large, batch, how, processes), plan_of(large, batch, how)
    assert together.batches == alone.batches
    for step in range(together.batches):
        epoch, window, number = together.place(step)
        assert alone.place(step) == (epoch, window, number)
        pages = pages_of(large[window])
        ours, theirs = (one.batches_of(epoch, window, pages)[number] for one in (together, alone))
        assert ours.tolist() == theirs.tolist()


@quick
@given(windows, st.integers(2, 4))
def test_processes_share_small_windows_evenly(given_windows, processes):
    try:
        plan = plan_of(given_windows, 8 * processes, "distinct", processes)
    except ConfigurationError:
        assert all(len(one) < processes for one in given_windows)
    else:
        assert all(size % processes == 0 for size in plan.sizes)


def test_seed_and_epoch_decide():
    sizes = [3] * 20
    pages = pages_of(sizes)

    def first(seed, epoch):
        return plan_of([sizes], 8, "distinct", seed=seed).batches_of(epoch, 0, pages)[0].tolist()

    assert first(0, 0) == first(0, 0)
    assert len({tuple(first(*one)) for one in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4


def test_windows_come_in_another_order_each_epoch():
    plan = plan_of([[1] * 4] * 6, 4, "distinct")
    orders = [[plan.place(epoch * 6 + step)[1] for step in range(6)] for epoch in range(8)]
    assert all(sorted(one) == list(range(6)) for one in orders)
    assert len({tuple(one) for one in orders}) > 1


def test_no_rows_end_with_a_sentence():
    with pytest.raises(ConfigurationError, match="leave no training triplets"):
        BatchPlan([], 4, "distinct", 1, 0)
    with pytest.raises(ConfigurationError, match="leave 3 training triplets, too few"):
        plan_of([[3]], 4, "distinct", processes=2)
