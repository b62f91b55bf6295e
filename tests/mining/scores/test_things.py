import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.scores.things import (
    PAGE_THINGS,
    TEXT_THINGS,
    ThingCounts,
    count_things,
    needed_pairs,
    normalised_pmi,
    page_things,
    pairs_of,
    pmi,
    things,
)


def test_things_are_the_heads_of_phrases_each_once():
    assert things("two red cars and a car near the old house, 2005") == ("car", "house")
    assert things(None) == ()
    assert things("X 12") == ()


def test_a_text_and_a_page_have_so_many_things_at_most():
    words = [chr(97 + one) + chr(97 + other) + "o" for one in range(10) for other in range(10)]
    assert len(things(", ".join(words[:30]))) == TEXT_THINGS
    on_page = page_things([*words, f"{words[-1]} in the house"])
    assert len(on_page) == PAGE_THINGS
    assert words[-1] in on_page
    assert list(on_page) == sorted(on_page)
    assert on_page == page_things(reversed([*words, f"{words[-1]} in the house"]))


def test_pages_are_counted_and_not_images():
    counts = count_things([["a dog", "a dog", "a mat", None], ["a dog"], [None], []])
    assert counts == ThingCounts(4, {"dog": 2, "mat": 1}, {("dog", "mat"): 1})


def test_what_stands_together_scores_above_what_does_not():
    pages = [["a dog", "a leash"]] * 20 + [["a boat", "a sail"]] * 20 + [["a dog", "a sail"]]
    counts = count_things(pages)
    together = pmi(things("a dog"), things("a leash"), counts)
    apart = pmi(things("a dog"), things("a boat"), counts)
    assert together is not None
    assert apart is not None
    assert apart < -0.4 < 0.7 < together
    assert together == pmi(things("a leash"), things("a dog"), counts)
    assert together == round(together, 4)


def test_like_things_and_unknown_things_say_nothing():
    counts = count_things([["a dog", "a mat"]] * 3)
    assert pmi(("dog",), ("dog",), counts) is None
    assert pmi(("dog",), ("unicorn",), counts) is None
    assert pmi((), ("dog",), counts) is None
    assert pmi(("dog",), ("mat",), ThingCounts()) is None
    assert pmi(("dog", "unicorn"), ("dog", "mat"), counts) == pmi(("dog",), ("mat",), counts)


def test_a_page_does_not_vouch_for_its_own_pairs():
    counts = count_things([["a dog", "a mat"], *[["a dog"], ["a mat"]] * 10])
    with_itself, without = (pmi(("dog",), ("mat",), counts, same_page=own) for own in (False, True))
    assert with_itself is not None
    assert without is not None
    assert without < with_itself
    once = count_things([["a dog", "a mat"], ["a tree"]])
    assert pmi(("dog",), ("mat",), once, same_page=True) is None


def test_rare_things_are_near_nothing_known():
    assert 0 < normalised_pmi(1, 1, 1, 10_000) < 0.4
    assert normalised_pmi(100, 100, 100, 10_000) > 0.9
    assert normalised_pmi(0, 1, 1, 10_000) > normalised_pmi(0, 1000, 1000, 10_000)
    assert abs(normalised_pmi(100, 1000, 1000, 10_000)) < 0.01
    assert normalised_pmi(5, 5, 5, 5) == 0.0


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 200), st.integers(0, 200))
def test_scores_are_bounded(one, other, both, more):
    both = min(both, one, other)
    score = normalised_pmi(both, one, other, one + other - both + more)
    assert -1 <= score <= 1
    assert score == normalised_pmi(both, other, one, one + other - both + more)


@pytest.mark.parametrize("numbers", [(3, 2, 5, 10), (1, 1, 11, 10), (0, 0, 1, 10), (-1, 1, 1, 1)])
def test_counts_that_cannot_be_are_refused(numbers):
    with pytest.raises(ValueError, match="cannot be counts"):
        normalised_pmi(*numbers)


def test_pairs_are_named_in_one_order():
    assert needed_pairs(("dog", "mat"), ("mat", "cat")) == [("cat", "dog"), ("cat", "mat"), ("dog", "mat")]
    assert list(pairs_of(("a", "b", "c"))) == [("a", "b"), ("a", "c"), ("b", "c")]
