"""Which pairs of all miners are published."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from made_candidates import candidates, some_config

from mining.choice import cap_key, choose, priority, threshold
from mining.mine_config import MineConfig


def kept(rows: list[dict[str, object]], config: MineConfig, clusters: dict[str, str] | None = None) -> list[int]:
    return [place for place, reason in enumerate(choose(rows, config, clusters)) if reason is None]


@given(st.integers(0, 10_000), st.integers(0, 80))
def test_each_pair_once_and_caps_and_quotas_hold(seed: int, count: int) -> None:
    rows, config = candidates(seed, count), some_config(seed)
    clusters = {row["target_image_id"]: row["target_image_id"][:1] for row in rows}
    left = [rows[place] for place in kept(rows, config, clusters)]
    pairs = Counter((row["query_image_id"], row["target_image_id"]) for row in left)
    assert set(pairs.values()) <= {1}
    for cap, limit in config.caps.given.items():
        counts = Counter(cap_key(cap, row, clusters[row["target_image_id"]]) for row in left)
        assert max(counts.values(), default=0) <= limit
    for miner, quota in config.quotas.items():
        assert sum(row["mining"] == miner for row in left) <= quota


@given(st.integers(0, 10_000), st.integers(0, 80))
def test_no_order_of_rows_decides(seed: int, count: int) -> None:
    rows, config = candidates(seed, count), some_config(seed)
    shuffled = random.Random(seed).sample(rows, len(rows))
    words = [sorted(str(some[place]["mining_details"]) for place in kept(some, config)) for some in (rows, shuffled)]
    assert words[0] == words[1]


@given(st.integers(0, 10_000), st.integers(1, 80))
def test_quotas_are_filled_where_there_are_pairs_enough(seed: int, count: int) -> None:
    rows = candidates(seed, count)
    free = Counter(rows[place]["mining"] for place in kept(rows, MineConfig(miners=some_config(seed).miners)))
    quotas = dict.fromkeys(some_config(seed).miners, 5)
    bound = MineConfig(miners=some_config(seed).miners, quotas=quotas)
    assert Counter(rows[place]["mining"] for place in kept(rows, bound)) == {
        miner: min(5, free[miner]) for miner in quotas if free[miner]
    }


def test_a_pair_of_several_miners_counts_for_the_first_of_the_configuration() -> None:
    rows = [row | {"query_image_id": "a", "target_image_id": "b"} for row in candidates(3, 30)]
    (place,) = kept(rows, some_config(0).model_copy(update={"quotas": {}}))
    assert rows[place]["mining"] == "neighbours"
    pages = [row["page_id"] for row in rows if row["mining"] == "neighbours"]
    assert rows[place]["page_id"] == min(pages)


def test_an_image_in_no_cluster_is_not_capped_by_it() -> None:
    rows = candidates(1, 40)
    config = MineConfig(miners=some_config(0).miners, caps={"cluster": 1})
    assert kept(rows, config) == kept(rows, MineConfig(miners=some_config(0).miners))


def test_thresholds_leave_as_many_as_the_cap() -> None:
    assert threshold([5, 3, 9], 3) is None
    assert threshold([5, 3, 9], 2) == 5
    assert threshold([], 1) is None


def test_priorities_are_of_64_bits_and_of_the_ordered_pair() -> None:
    assert 0 <= priority("a", "b") < 1 << 64
    assert priority("a", "b") != priority("b", "a")
