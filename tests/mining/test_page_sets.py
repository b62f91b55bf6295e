"""Pages whose sets of images are equal or overlap almost wholly."""

from __future__ import annotations

import random

import made_places as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.page_sets import MAX_SET_IMAGES, PageSet, band_keys, overlap, page_set, representatives, superseded_by

names = st.lists(st.integers(0, 200).map(str), max_size=MAX_SET_IMAGES)


def made_set(images: list[str], page: str = "p", url: str = "http://example.org/") -> PageSet:
    return page_set(made.image_id(page)[:32], url, [made.image_id(name) for name in images])


@given(names)
def test_sketches_are_small_and_read_back(images: list[str]) -> None:
    one = made_set(images)
    assert len(one.to_bytes()) <= 500
    assert PageSet.from_bytes(one.to_bytes()) == one
    assert made_set(images[::-1]) == one


def test_bytes_that_are_no_sketch_are_refused() -> None:
    with pytest.raises(ValueError, match="page set"):
        PageSet.from_bytes(b"too short")
    with pytest.raises(ValueError, match="at most 60"):
        made_set([str(number) for number in range(61)])


@given(names, names)
def test_overlap_is_the_jaccard_similarity(first: list[str], second: list[str]) -> None:
    union = set(first) | set(second)
    expected = len(set(first) & set(second)) / len(union) if union else 0.0
    assert overlap(made_set(first), made_set(second)) == pytest.approx(expected)


def test_equal_sets_always_meet_and_similar_ones_nearly_always() -> None:
    rng = random.Random(3)
    met = 0
    for trial in range(200):
        common = [f"{trial}-{number}" for number in range(18)]
        first = made_set([*common, f"{trial}-x", f"{trial}-y"])
        second = made_set([*common, *(f"{trial}-{rng.random()}" for _ in range(2))], "q")
        met += bool(set(band_keys(first)) & set(band_keys(second)))
    assert met >= 198, "18 of 22 images are shared"
    assert set(band_keys(made_set(["a", "b"]))) == set(band_keys(made_set(["b", "a"], "q")))


def test_unrelated_pages_do_not_meet() -> None:
    keys = [set(band_keys(made_set([f"{page}-{number}" for number in range(10)]))) for page in range(50)]
    assert len(set.union(*keys)) == sum(map(len, keys))


def test_the_richer_page_is_mined_then_the_shorter_address_then_the_smaller_id() -> None:
    images = [str(number) for number in range(10)]
    rich, poor = made_set(images, "rich"), made_set(images[:9], "poor")
    assert superseded_by(poor, [rich.to_bytes()], 0.8) == ("overlapping_image_set", rich)
    assert superseded_by(rich, [poor.to_bytes()], 0.8) is None
    plain, print_view = made_set(images), made_set(images, "q", "http://example.org/?print=1")
    assert superseded_by(print_view, [plain.to_bytes(), print_view.to_bytes()], 0.8) == ("same_image_set", plain)
    twins = sorted([made_set(images, "a"), made_set(images, "b")], key=lambda one: one.page_id)
    assert superseded_by(twins[1], [twins[0].to_bytes()], 0.8) == ("same_image_set", twins[0])
    assert superseded_by(twins[0], [twins[1].to_bytes()], 0.8) is None


def test_pages_that_share_less_are_both_mined() -> None:
    one, other = made_set(["a", "b", "c"]), made_set(["a", "b", "d"], "q")
    assert superseded_by(one, [other.to_bytes()], 0.8) is None
    assert superseded_by(other, [one.to_bytes()], 0.8) is None


@given(st.lists(st.tuples(names, st.integers(0, 5).map(str)), max_size=12), st.randoms(use_true_random=False))
def test_representatives_do_not_depend_on_order_or_on_how_a_combiner_groups(
    pages: list[tuple[list[str], str]], shuffle: random.Random
) -> None:
    sketches = [made_set(images, page).to_bytes() for images, page in pages]
    mixed = shuffle.sample(sketches, len(sketches))
    half = len(mixed) // 2
    expected = representatives(sketches, 3)
    assert representatives(mixed, 3) == expected
    assert representatives([*representatives(mixed[:half], 3), *representatives(mixed[half:], 3)], 3) == expected


@given(st.lists(names, min_size=1, max_size=8))
def test_every_group_of_equal_pages_keeps_exactly_one(pages: list[list[str]]) -> None:
    sets = [made_set(images, str(number)) for number, images in enumerate(pages)]
    sketches = [one.to_bytes() for one in sets]
    kept = [one for one in sets if superseded_by(one, sketches, 1.0) is None]
    nonempty = {one.heads for one in sets if one.heads}
    assert sorted(one.heads for one in kept if one.heads) == sorted(nonempty)
