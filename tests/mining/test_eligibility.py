"""Which places hold an image that may enter pairs."""

from __future__ import annotations

import random

import made_places as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.eligibility import content_images, eligible_places, near_duplicates, spread
from mining.mine_config import MineConfig
from mining.places import EligibleImage, ImageFacts, PageCounts, PlaceRecord
from schemas.outcomes import CollectedOutcomes

CONFIG = MineConfig()


def pass_filters(
    places: list[PlaceRecord], images: list[ImageFacts], config: MineConfig = CONFIG, **page: object
) -> tuple[list[EligibleImage], CollectedOutcomes]:
    outcomes = CollectedOutcomes()
    known = {one.image_id: one for one in images}
    return eligible_places(made.page(**page), places, known, config, outcomes), outcomes


def reasons(outcomes: CollectedOutcomes, unit: str = "place") -> dict[str, int]:
    return dict(outcomes.counts.entry(unit).rejected)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"width": 99}, "too_small"),
        ({"width": 901, "height": 300}, "extreme_aspect"),
        ({"flatness": 0.999}, "flat"),
        ({"nsfw": 0.95}, "unsafe"),
        ({"opt_out": "noimageai"}, "opted_out"),
    ],
)
def test_an_image_with_one_fault_is_rejected_with_its_reason(fields: dict[str, object], reason: str) -> None:
    image = made.facts("faulty", **fields)
    passed, outcomes = pass_filters([made.place(0, image)], [image])
    assert passed == []
    assert reasons(outcomes) == {reason: 1}


def test_an_image_at_the_limits_passes() -> None:
    image = made.facts("edge", width=300, height=100, flatness=CONFIG.max_flatness, nsfw=CONFIG.max_nsfw)
    passed, outcomes = pass_filters([made.place(0, image)], [image])
    assert [one.image_id for one in passed] == [image.image_id]
    assert reasons(outcomes) == {}


def test_unscored_images_pass_the_safety_filter() -> None:
    image = made.facts("unscored", nsfw=None)
    assert len(pass_filters([made.place(0, image)], [image])[0]) == 1


def test_opted_out_pages_and_images_pass_only_where_the_policy_keeps_them() -> None:
    image = made.facts("a", opt_out="noai")
    assert pass_filters([made.place(0, image)], [image])[0] == []
    assert reasons(pass_filters([made.place(0, made.facts("b"))], [made.facts("b")], opt_out="tdm")[1]) == {
        "opted_out": 1
    }
    keep = MineConfig(opt_out="keep")
    assert len(pass_filters([made.place(0, image)], [image], keep, opt_out="tdm")[0]) == 1


def test_dangling_addresses_and_images_without_annotation_are_told_apart() -> None:
    image = made.facts("never decoded")
    _, outcomes = pass_filters([made.place(0, None), made.place(1, image)], [])
    assert reasons(outcomes) == {"no_image": 1, "not_annotated": 1}
    assert {row["id"].split(":")[1] for row in outcomes.rows("rejected")} == {"0", "1"}


def test_a_picture_counts_once_and_the_chosen_alternative_stands_for_it() -> None:
    small, large = made.facts("small", width=120, height=120), made.facts("large", width=900, height=900)
    places = [
        made.place(0, large, group=0, chosen=False),
        made.place(1, small, group=0, chosen=True),
        made.place(2, None, group=0, chosen=False),
    ]
    passed, outcomes = pass_filters(places, [small, large])
    assert [one.image_id for one in passed] == [small.image_id]
    assert outcomes.counts.entry("place").entered == 1


def test_the_largest_alternative_stands_in_for_a_chosen_one_that_is_missing() -> None:
    images = [made.facts(name, width=side, height=side) for name, side in (("s", 120), ("l", 800), ("m", 400))]
    places = [made.place(0, None, group=3, chosen=True, text="a red kite")]
    places += [made.place(1 + index, one, group=3, chosen=False) for index, one in enumerate(images)]
    passed, _ = pass_filters(places, images)
    assert [(one.image_id, one.text) for one in passed] == [(made.image_id("l"), "a red kite")]


def test_of_byte_duplicates_the_first_place_with_a_text_is_kept() -> None:
    image = made.facts("twice")
    places = [made.place(0, image), made.place(4, image, text="a kite"), made.place(7, image, text="another")]
    passed, outcomes = pass_filters(places, [image])
    assert [(one.position, one.text) for one in passed] == [(4, "a kite")]
    assert reasons(outcomes) == {"byte_duplicate_on_page": 2}


def content(
    images: list[EligibleImage], counts: PageCounts | None = None, config: MineConfig = CONFIG
) -> tuple[list[EligibleImage], dict[str, int]]:
    outcomes = CollectedOutcomes()
    found = content_images(made.page(), images, counts or PageCounts(), config, outcomes)
    assert outcomes.counts.entry("place").kept == len(found)
    return found, reasons(outcomes)


def test_images_on_many_pages_of_a_site_are_boilerplate() -> None:
    images = [made.eligible(0, made.facts("logo")), made.eligible(1, made.facts("photo"))]
    for shown, of, boilerplate in [
        (11, 100_000, True),
        (10, 100_000, False),
        (5, 9, True),
        (5, 10, False),
        (4, 4, False),
    ]:
        dropped = content(images, PageCounts(of, {made.image_id("logo"): shown}))[1]
        assert dropped == ({"boilerplate_on_site": 1} if boilerplate else {}), (shown, of)


def test_addresses_that_many_pages_name_are_dropped() -> None:
    images = [made.eligible(0, made.facts("banner")), made.eligible(1, made.facts("photo"))]
    found, dropped = content(images, PageCounts(1, {}, {images[0].url: CONFIG.address_pages + 1}))
    assert [one.position for one in found] == [1]
    assert dropped == {"address_many_pages": 1}


def test_of_near_duplicates_the_larger_is_kept() -> None:
    same = made.sketch(5)
    thumb = made.facts("thumb", width=200, height=150, phash=0b1, sketch=same)
    full = made.facts("full", width=800, height=600, phash=0b0, sketch=same)
    found, dropped = content([made.eligible(0, thumb), made.eligible(1, full)])
    assert [one.image_id for one in found] == [full.image_id]
    assert dropped == {"near_duplicate_on_page": 1}


def test_images_that_differ_in_colour_only_are_no_near_duplicates() -> None:
    """Equal grey hashes, other features: the shader and colour grids of real pages."""
    red = made.facts("red", phash=77, sketch=made.sketch(1))
    blue = made.facts("blue", phash=77, sketch=made.sketch(1, like=2, share=0.5))
    assert not near_duplicates(red, [blue], CONFIG).any()
    assert len(content([made.eligible(0, red), made.eligible(1, blue)])[0]) == 2


def test_the_cap_spreads_over_the_page() -> None:
    images = [made.eligible(index, made.facts(f"i{index}")) for index in range(100)]
    found, dropped = content(images, config=MineConfig(page_images=5))
    assert [one.position for one in found] == [0, 24, 48, 72, 99]
    assert dropped == {"page_image_cap": 95}


def test_very_many_images_on_one_page_take_bounded_work() -> None:
    shared = made.sketch(1)
    images = [made.eligible(index, made.facts(f"i{index}", phash=index, sketch=shared)) for index in range(5000)]
    found, dropped = content(images)
    assert len(found) <= CONFIG.page_images
    assert sum(dropped.values()) + len(found) == 5000


@given(st.lists(st.integers()), st.integers(1, 20))
def test_spread_keeps_order_ends_and_count(items: list[int], count: int) -> None:
    indices = spread(list(range(len(items))), count)
    assert len(indices) == min(count, len(items))
    assert indices == sorted(set(indices))
    if items and count > 1:
        assert indices[0] == 0
        assert indices[-1] == len(items) - 1


@given(made.page_inputs(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_and_every_picture_is_accounted_for(
    inputs: list, shuffle: random.Random
) -> None:
    for one in inputs:
        results = []
        for places in (list(one.places), shuffle.sample(list(one.places), len(one.places))):
            outcomes = CollectedOutcomes()
            images = eligible_places(one.page, places, one.facts, CONFIG, outcomes)
            results.append(content_images(one.page, images, PageCounts(), CONFIG, outcomes))
            assert outcomes.counts.unbalanced() == []
            assert outcomes.counts.entry("place").entered == len({place.group for place in places})
        assert results[0] == results[1]
