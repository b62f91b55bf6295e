import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outcomes import UNITS, CollectedOutcomes, Counts, FunnelEntry, total


@st.composite
def counts(draw):
    """Counts whose sums hold."""
    made = Counts()
    for unit in draw(st.lists(st.sampled_from(UNITS), unique=True)):
        entry = made.entry(unit)
        entry.kept = draw(st.integers(0, 50))
        entry.rejected.update(draw(st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 9))))
        entry.failed.update(draw(st.dictionaries(st.sampled_from(["x", "y"]), st.integers(1, 9))))
        entry.deferred = draw(st.integers(0, 9))
        entry.entered = entry.kept + entry.rejected.total() + entry.failed.total() + entry.deferred
        made.made[unit] += draw(st.integers(0, 9))
    return made


@given(st.lists(counts(), max_size=4))
def test_sums_hold_for_sums_and_json_keeps_them(shards):
    whole = total(shards)
    assert whole.unbalanced() == []
    assert whole.to_json() == total(Counts.from_json(one.to_json()) for one in reversed(shards)).to_json()


def test_a_funnel_entry_by_hand():
    entry = FunnelEntry(entered=10, kept=5, deferred=1)
    entry.rejected.update({"too_small": 2, "duplicate": 1})
    assert not entry.balanced
    entry.failed["time_out"] += 1
    assert entry.balanced
    assert entry.to_json() == {
        "in": 10,
        "kept": 5,
        "rejected": {"duplicate": 1, "too_small": 2},
        "failed": {"time_out": 1},
        "deferred": 1,
    }


def test_every_way_out_is_counted_and_stored():
    outcomes = CollectedOutcomes()
    outcomes.entered("image", 4)
    outcomes.kept("image")
    outcomes.rejected("image", "too_small", id="1", url="http://a.example/1", detail="x" * 900)
    outcomes.failed("image", "crashed", id="2")
    outcomes.deferred("image", "host_budget", id="3")
    outcomes.finish()
    assert outcomes.counts.unbalanced() == []
    small, crashed = outcomes.rows("rejected")
    assert (small["reason"], small["url"], len(small["detail"])) == ("too_small", "http://a.example/1", 500)
    assert (crashed["reason"], crashed["detail"]) == ("error:crashed", None)
    assert [row["id"] for row in outcomes.rows("deferred")] == ["3"]


def test_a_unit_that_got_lost_is_found():
    outcomes = CollectedOutcomes()
    outcomes.entered("page", 2)
    outcomes.kept("page")
    assert outcomes.counts.unbalanced() == ["page"]


def test_unknown_units_are_a_fault():
    with pytest.raises(ValueError, match="the units are record"):
        CollectedOutcomes().entered("picture")


@given(st.permutations(range(60)))
def test_the_sample_of_candidate_pairs_does_not_depend_on_their_order(order):
    def sample(numbers):
        outcomes = CollectedOutcomes(sample_size=5)
        for number in numbers:
            outcomes.entered("candidate_pair")
            outcomes.rejected("candidate_pair", "page_cap", id=str(number))
        outcomes.finish()
        assert outcomes.counts.entry("candidate_pair").rejected["page_cap"] == 60
        return outcomes.rows("rejected")

    assert sample(order) == sample(range(60))
    assert len(sample(order)) == 5


def test_a_list_of_neighbours_is_counted_and_sampled_as_each_of_them():
    others = [f"{number:03d}" for number in range(100)]
    together, single = CollectedOutcomes(5), CollectedOutcomes(5)
    for first, kept in ((together, others), (single, others[::-1])):
        first.entered("candidate_pair", 100)
        first.rejected("candidate_pair", "outside_window", id="a 000")
        if first is together:
            first.rejected_with("candidate_pair", "outside_window", id="a", others=kept[1:])
        else:
            for other in kept[:-1]:
                first.rejected("candidate_pair", "outside_window", id=f"a {other}")
        first.finish()
    assert together.counts.to_json() == single.counts.to_json()
    assert together.rows("rejected") == single.rows("rejected")
    assert len(together.rows("rejected")) == 5


def test_units_that_are_not_sampled_are_all_stored():
    outcomes = CollectedOutcomes()
    outcomes.rejected_with("pair", "quota", id="a", others=["b", "c"], detail="why")
    assert [(row["id"], row["detail"]) for row in outcomes.rows("rejected")] == [("a b", "why"), ("a c", "why")]
