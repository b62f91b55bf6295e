"""Partners from a window of ranks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mining.miners.interface import Found, Neighbours
from mining.miners.mid_rank import MidRank, MidRankConfig
from schemas.outcomes import CollectedOutcomes


def find(count: int, **settings: object) -> tuple[list[Found], CollectedOutcomes]:
    outcomes = CollectedOutcomes()
    near = Neighbours(
        tuple(f"{rank:02d}" for rank in range(1, count + 1)), tuple(1 - one / 100 for one in range(count))
    )
    found = list(MidRank(MidRankConfig(**settings)).find("first", {"image": near}, outcomes))  # type: ignore[arg-type]
    outcomes.finish()
    assert outcomes.counts.unbalanced() == []
    return found, outcomes


def test_partners_are_spread_over_the_ranks_and_nearer_ones_are_negatives() -> None:
    found, outcomes = find(60, first_rank=3, last_rank=20, pairs_per_query=3, negatives=5)
    assert [one.target_id for one in found] == ["03", "11", "20"]
    assert {one.negatives for one in found} == {("01", "02")}
    assert dict(outcomes.counts.entry("candidate_pair").rejected) == {"query_cap": 15, "outside_ranks": 42}


@given(st.integers(0, 30), st.integers(1, 20), st.integers(0, 20), st.integers(1, 6))
def test_ranks_and_caps_hold(count: int, first: int, more: int, cap: int) -> None:
    found, _ = find(count, first_rank=first, last_rank=first + more, pairs_per_query=cap)
    ranks = [int(one.target_id) for one in found]
    assert len(ranks) == min(cap, max(0, min(count, first + more) - first + 1))
    assert ranks == sorted(set(ranks))
    assert all(first <= rank <= first + more for rank in ranks)
    assert all(int(other) < first for one in found for other in one.negatives)


def test_an_image_that_the_view_does_not_have_has_no_partner() -> None:
    assert list(MidRank(MidRankConfig(view="text")).find("first", {}, CollectedOutcomes())) == []
