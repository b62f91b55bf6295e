"""Pairs of versions of one picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import made_corpus as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mining.members import pack, unpack_members
from mining.miners.interface import CorpusImage, Found, MeetingMiner
from mining.miners.versions import Versions, template_fault
from mining.miners.versions_config import VersionsConfig

DEFAULT = VersionsConfig()


def mine(images: list[CorpusImage], config: VersionsConfig = DEFAULT, alternates=None) -> list[Found]:
    miner: MeetingMiner = Versions(config, alternates)
    return [found for key, members in made.meetings(miner, images).items() for found in miner.find(key, members)]


def told(images: list[CorpusImage], config: VersionsConfig = DEFAULT, alternates=None) -> list[str]:
    return sorted({one.why for one in mine(images, config, alternates)})


def named(*names: str, **fields: object) -> list[CorpusImage]:
    return [made.image(name, share=0.7, **fields) for name in names]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("kitchen-before", "kitchen-after"), "state before → after"),
        (("de/menu", "en/menu"), "language de → en"),
        (("menu_fr", "menu_ja"), "language fr → ja"),
        (("lakeWinter", "lakeSummer"), "season summer → winter"),
        (("sofa-red", "sofa-blue"), "colour blue → red"),
        (("camera_front", "camera_back"), "view back → front"),
        (("town-1950", "town-2020"), "year 1950 → 2020"),
        (("docs/1.2/main_window", "docs/2.0/main_window"), "release 1.2 → 2.0"),
        (("wiring7", "wiring8"), "step 7 → 8"),
        (("bird", "bird-sketch"), "variant plain → sketch"),
        (("themes/breeze/desktop", "themes/oxygen/desktop"), "folder breeze → oxygen"),
    ],
)
def test_the_word_in_which_two_addresses_differ_is_told(names: tuple[str, str], why: str) -> None:
    images = named(*names)
    assert why in told(images)
    kind, first, arrow, second = why.split(" ")
    assert f"{kind} {second} {arrow} {first}" in told(images)
    one_way = told(images, VersionsConfig(both_directions=False))
    assert why in one_way
    assert f"{kind} {second} {arrow} {first}" not in one_way


def test_addresses_that_differ_in_two_words_or_in_none_that_is_a_version_do_not_meet() -> None:
    strict = VersionsConfig(kinds=("language", "state", "season", "colour", "year"))
    assert mine(named("kitchen-before-1990", "kitchen-after-2020"), strict) == []
    assert mine(named("cat", "dog"), strict) == []
    assert mine([*named("a-before"), replace(named("a-after")[0], site="b.example")], strict) == []


def test_sizes_alone_make_no_pair_unless_asked_for() -> None:
    large = named("house")[0]
    small = [
        made.resized(large, name, url=f"http://a.example/{name}.jpg")
        for name in ("house-300x200", "house_thumb", "house@2x", "300px-house")
    ]
    assert mine([large, *small]) == []
    asked = told([large, *small], VersionsConfig(kinds=("size",), pairs_per_image=9))
    assert "size plain → thumb" in asked
    assert "size 300x200 → @2x" in asked


def test_sizes_of_one_version_are_one_and_the_largest_stands_for_it() -> None:
    before, after = named("house-before", "house-after")
    thumbnail = made.resized(before, "thumb", url="http://a.example/house-before-150x100.jpg")
    pairs = {frozenset((one.query_id, one.target_id)) for one in mine([before, after, thumbnail])}
    assert pairs == {frozenset((before.image_id, after.image_id))}


def test_copies_that_look_the_same_are_no_versions_unless_the_kind_may() -> None:
    first = named("de/menu")[0]
    copy = made.resized(first, "copy", url="http://a.example/en/menu.jpg")
    assert mine([first, copy]) == []
    assert told([first, copy], VersionsConfig(near_equal_kinds=("language",)))[0] == "language de → en"


def test_what_looks_unlike_is_no_version_and_running_numbers_must_look_most_alike() -> None:
    assert mine([made.image("x-before", like=1), made.image("x-after", like=2)]) == []
    assert mine(named("img_1", "img_2")) == []
    alike = [made.image(name, share=0.8) for name in ("img_1", "img_2")]
    assert told(alike) == ["counter 1 → 2", "counter 2 → 1"]


def test_numbers_pair_with_the_next_one() -> None:
    names = [f"wiring{n}" for n in (1, 2, 10)]
    assert told(named(*names), VersionsConfig(both_directions=False)) == ["step 1 → 2", "step 2 → 10"]
    assert "step 1 → 10" in told(named(*names), VersionsConfig(step_distance=2))


def test_parallel_pages_meet_by_place_or_by_file_name() -> None:
    def on(page: str, name: str, position: int, share: float = 0.85) -> CorpusImage:
        return made.image(name, share=share, page_url=f"http://a.example/{page}", position=position)

    assert "language de → en" in told([on("de/start.html", "x81", 3), on("en/start.html", "q17", 3)])
    assert told([on("de/start.html", "x81", 3), on("en/start.html", "q17", 4)]) == []
    assert told([on("de/start.html", "x81", 3, 0.55), on("en/start.html", "q17", 3, 0.55)]) == []
    assert "language de → en" in told([on("s.html?lang=de", "a/start", 1), on("s.html?lang=en", "b/start", 2)])


def test_hreflang_brings_pages_of_any_address_together() -> None:
    pages = {"de": "http://a.example/ueber-uns", "en": "http://b.example/about"}
    stated = [*pages.items(), ("x-default", "http://a.example/")]
    images = [
        made.image(f"q{language}", share=0.85, page_url=url, site=url[7:16], language=language)
        for language, url in pages.items()
    ]
    assert mine(images) == []
    assert told(images, alternates=dict.fromkeys((one.page_id for one in images), stated)) == [
        "language de → en",
        "language en → de",
    ]


def test_generic_templates_say_why_they_are_dropped() -> None:
    members = unpack_members([(one.image_id, pack(one)) for one in named(*"abc")])
    few = VersionsConfig(max_values=2, max_variants=3)
    assert template_fault("state", members[:1], few) == "one_version"
    assert template_fault("state", members[:2], few) is None
    assert template_fault("state", members[:3], few) == "generic_template"
    assert template_fault("variant", members[:3], few) is None
    assert told(named(*(f"bird-{word}" for word in ("bath", "cage", "seed"))), VersionsConfig(max_variants=2)) == []


@given(
    st.lists(st.sampled_from(["a", "b"]), min_size=0, max_size=14),
    st.integers(1, 6),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_caps_hold_and_the_order_of_images_changes_nothing(scenes, cap, per_image, random) -> None:
    images = [
        made.image(f"{scene}/part{number}", like=ord(scene), share=0.8, position=number)
        for number, scene in enumerate(scenes)
    ]
    config = VersionsConfig(pairs_per_template=cap, pairs_per_image=per_image, both_directions=False)
    found = mine(images, config)
    assert mine(random.sample(images, len(images)), config) == found
    for key, members in made.meetings(Versions(config), images).items():
        pairs = list(Versions(config).find(key, members))
        assert len(pairs) <= cap
        used = Counter(image for one in pairs for image in (one.query_id, one.target_id))
        assert max(used.values(), default=0) <= per_image
        assert all(not {one.query_id, one.target_id} & set(one.negatives) for one in pairs)


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(ValidationError, match="near_equal_kinds"):
        VersionsConfig(kinds=("size",), near_equal_kinds=())
    with pytest.raises(ValidationError, match="loose_visual_min"):
        VersionsConfig(loose_visual_min=0.99)
    assert all(field.description for field in VersionsConfig.model_fields.values())
