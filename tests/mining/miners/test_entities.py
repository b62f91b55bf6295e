"""Pairs of images of one named thing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import made_corpus as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mining.alignment import TextAlignment
from mining.members import hash_distances, member_cosines, unpack_members
from mining.miners.entities import Entities, entity_fault, image_entities
from mining.miners.entities_config import EntitiesConfig
from mining.miners.interface import CorpusImage, Found, MeetingMiner
from mining.phrases import RulePhrases

OPEN = EntitiesConfig(visual_min=0.3, visual_max=0.99, min_hash_distance=1)


def miner(config: EntitiesConfig = OPEN) -> MeetingMiner:
    return Entities(config, RulePhrases(config.max_words), TextAlignment(made.BagOfWords()))


def mine(images: list[CorpusImage], config: EntitiesConfig = OPEN) -> list[Found]:
    used = miner(config)
    return [found for key, members in made.meetings(used, images).items() for found in used.find(key, members)]


def towers(count: int, **fields: object) -> list[CorpusImage]:
    """Images of one tower on a page each."""
    return [made.image(f"tower{n}", text=f"Eiffel Tower, view {n}", **fields) for n in range(count)]


def test_images_of_one_name_are_paired_in_both_directions_and_the_name_is_told() -> None:
    found = mine([*towers(2), made.image("fox", text="A red fox")])
    first, second = sorted(made.made.image_id(f"tower{n}") for n in range(2))
    assert [(one.query_id, one.target_id) for one in found] == [(first, second), (second, first)]
    assert {one.why for one in found} == {"the same eiffel tower (another page)"}
    assert len(mine(towers(2), OPEN.model_copy(update={"both_directions": False}))) == 1


def test_other_sites_and_times_are_preferred_and_told() -> None:
    near = towers(2)
    far = made.image("far", text="Eiffel Tower by night", site="b.example", crawl_date=made.START + timedelta(days=365))
    best = mine([*near, far], OPEN.model_copy(update={"pairs_per_entity": 1}))[0]
    assert far.image_id in (best.query_id, best.target_id)
    assert best.why == "the same eiffel tower (another site, another time)"


@pytest.mark.parametrize(
    "second",
    [
        made.image("other", text="Eiffel Tower by night", like=2),
        made.resized(towers(1)[0], "small", text="Eiffel Tower, small"),
        made.image("b", text="eiffel tower, VIEW 0"),
        made.image("b", page_title="Eiffel Tower"),
    ],
    ids=["looks unlike", "same picture", "same text", "nothing aligned"],
)
def test_windows_drop(second: CorpusImage) -> None:
    assert mine([towers(1)[0], second]) == []


def test_pairs_of_one_page_come_last_or_never() -> None:
    page = {"page_id": "p"}
    images = [*towers(3, **page), made.image("else", text="Eiffel Tower by night")]
    last = mine(images, OPEN.model_copy(update={"pairs_per_image": 3, "both_directions": False}))
    assert ["another page" in one.why for one in last] == [True, True, True, False, False, False]
    dropped = mine(images, OPEN.model_copy(update={"pairs_per_image": 3, "same_page": "drop"}))
    assert all("another page" in one.why for one in dropped)


def test_a_name_that_only_titles_hold_makes_no_pair() -> None:
    titled = [made.image(f"t{n}", text=f"tower {n}", page_title="Eiffel Tower tower") for n in range(2)]
    config = OPEN.model_copy(update={"title_alignment_min": 0.1})
    key = "entity:eiffel tower tower"
    assert len(made.meetings(miner(config), titled)[key]) == 2
    assert not [one for one in mine(titled, config) if "eiffel" in one.why]
    assert [one for one in mine(titled, config.model_copy(update={"own_names": 0})) if "eiffel" in one.why]


def test_the_best_aligned_names_are_chosen_and_nested_ones_left() -> None:
    image = made.image("a", label="lighthouse", text="Old Lighthouse, Cape Cod", page_title="Holiday in Cape Cod")
    names = image_entities(image, RulePhrases(), TextAlignment(made.BagOfWords()), OPEN)
    assert [name for name, _, _ in names] == ["old lighthouse", "cape cod"]
    assert names[0][1] > names[1][1] >= OPEN.alignment_min
    strict = OPEN.model_copy(update={"alignment_min": 0.99, "title_alignment_min": 0.99})
    assert image_entities(image, RulePhrases(), TextAlignment(made.BagOfWords()), strict) == []


def test_generic_names_say_why_they_are_dropped() -> None:
    def fault(images: list[CorpusImage], config: EntitiesConfig) -> str | None:
        members = made.meetings(miner(config), images)["entity:eiffel tower"]
        assert (list(miner(config).find("entity:eiffel tower", members)) == []) == (
            entity_fault(unpack_members(members), config) is not None
        )
        return entity_fault(unpack_members(members), config)

    few = OPEN.model_copy(update={"max_images": 6, "max_site_images": 3})
    assert fault(towers(1), few) == "one_image"
    assert fault(towers(3), few) is None
    assert fault(towers(4), few) == "site_subject"
    two_sites = [*towers(3), *[replace(one, site="b.example") for one in towers(6)[3:]]]
    assert fault(two_sites, few) is None
    assert fault([*two_sites, made.image("x", text="Eiffel Tower")], few) == "generic_entity"


@given(
    st.lists(
        st.tuples(st.integers(0, 25), st.integers(0, 2), st.booleans()), max_size=14, unique_by=lambda one: one[0]
    ),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(2, 12),
    st.sampled_from(["last", "drop", "equal"]),
    st.randoms(use_true_random=False),
)
def test_windows_and_caps_hold_in_any_order(described, cap, per_image, compared, same_page, random) -> None:
    images = [
        made.image(f"i{n}", like=n % 2, share=0.8, text=f"Eiffel Tower {n // 2}", site=f"s{site}", page_id=f"p{page}")
        for n, site, page in described
    ]
    config = EntitiesConfig(
        pairs_per_entity=cap, pairs_per_image=per_image, compared=compared, same_page=same_page, both_directions=False
    )
    found = mine(images, config)
    assert mine(random.sample(images, len(images)), config) == found
    by_id = {one.image_id: one for one in images}
    for entity, pairs in Counter(one.why.split(" (")[0] for one in found).items():
        assert pairs <= cap, entity
    for one in found:
        first, second = by_id[one.query_id], by_id[one.target_id]
        assert first.text != second.text
        assert same_page != "drop" or first.page_id != second.page_id
        members = unpack_members(made.meetings(miner(), [first, second])["entity:eiffel tower"])
        assert config.visual_min <= member_cosines(members)[0, 1] <= config.visual_max
        assert hash_distances(members)[0, 1] >= config.min_hash_distance
        assert not {one.query_id, one.target_id} & set(one.negatives)
        assert len(one.negatives) <= config.negatives


def test_large_names_are_sampled_over_sites() -> None:
    many = towers(30)
    rare = [replace(one, site=f"{n}.example") for n, one in enumerate(towers(34)[30:])]
    found = mine([*many, *rare], OPEN.model_copy(update={"compared": 6, "pairs_per_image": 5, "pairs_per_entity": 50}))
    seen = {one.query_id for one in found}
    assert {one.image_id for one in rare} <= seen
    assert len(seen) <= 6


def test_settings_that_keep_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="visual_min"):
        EntitiesConfig(visual_min=0.9, visual_max=0.5)
    with pytest.raises(ValidationError, match="ner_model"):
        EntitiesConfig(phrases="ner")
    assert all(field.description for field in EntitiesConfig.model_fields.values())
