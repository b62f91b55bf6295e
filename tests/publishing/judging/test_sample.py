"""Samples: the same whoever draws them, in equal parts, with the most similar images of the page beside."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publishing.judging.sample import Beside, JudgeSample, allot, draw, nearest
from publishing.tombstones import Tombstones
from schemas.errors import ConfigurationError
from schemas.ids import triplet_id


@pytest.fixture(scope="session")
def rows(row):
    """Forty triplets, of which ten have a text by a second method and three one by a third."""
    named = (("a", "b", "c") if number < 3 else ("b", "a") if number < 10 else ("a",) for number in range(40))
    return [row(number, methods) for number, methods in enumerate(named)]


def test_the_order_of_rows_decides_nothing(rows):
    mixed = list(rows)
    random.Random(3).shuffle(mixed)
    drawn = draw(rows, 12, seed=5)
    assert draw(mixed, 12, seed=5) == drawn
    assert draw(rows, 12, seed=6).items != drawn.items
    assert draw(rows, 12, seed=6).sample_id != drawn.sample_id


def test_methods_have_equal_parts_as_far_as_they_go(rows):
    drawn = draw(rows, 15)
    assert drawn.of == {"a": 40, "b": 10, "c": 3}
    assert Counter(one.method for one in drawn.items) == {"a": 6, "b": 6, "c": 3}
    everything = draw(rows, 500)
    assert len(everything.items) == 53
    assert len({one.item_id for one in everything.items}) == 53


def test_an_item_is_the_first_text_of_its_stratum(rows):
    items = {one.item_id: one for one in draw(rows, 500).items}
    second = items[triplet_id(rows[5]["pair_id"], "text 5 1")]
    assert (second.text, second.method, second.query_image_id) == ("text 5 1", "a", "q5")
    assert {one.text for one in draw(rows, 500, by="none").items} == {one["instruction"] for one in rows}
    by_length = draw(rows, 500, by="length")
    assert by_length.of == {"short": 40, "fine": 10}
    assert {(one.stratum, one.text) for one in by_length.items if one.query_image_id == "q0"} == {
        ("short", "text 0 0"),
        ("fine", "text 0 1"),
    }


def test_strata_are_mixed(rows):
    order = [one.method for one in draw(rows, 15).items]
    assert order != sorted(order)


def test_an_unknown_stratum_is_told(rows):
    with pytest.raises(ConfigurationError, match="there are method, category"):
        draw(rows, 5, by="colour")


def test_what_was_taken_down_is_not_judged(rows):
    gone = Tombstones.of(urls=["https://site.example/page0.html"], image_ids=["t7"])
    left = {one.query_image_id for one in draw(rows, 500, gone=gone).items}
    assert left == {f"q{number}" for number in range(3, 40)} - {"q7"}


def test_a_sample_survives_its_file(rows):
    drawn = draw(rows, 7)
    page = [{"image_id": one, "url": one, "text": None, "sketch": b"\x01\x02"} for one in ("t0", "x")]
    items = tuple(
        one if number else type(one)(**{**vars(one), "distractors": nearest(one, page)})
        for number, one in enumerate(drawn.items)
    )
    full = JudgeSample(items, drawn.by, drawn.seed, drawn.of)
    again = JudgeSample.from_json(json.loads(json.dumps(full.to_json())))
    assert again == full
    assert again.sample_id == full.to_json()["sample"]


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 30), max_size=6), st.integers(0, 90))
def test_parts_are_equal_where_they_can_be(counts, size):
    parts = allot(counts, size)
    assert sum(parts.values()) == min(size, sum(counts.values()))
    assert all(parts[name] <= counts[name] for name in counts)
    unfilled = [parts[name] for name in counts if parts[name] < counts[name]]
    if unfilled:
        assert max(unfilled) - min(unfilled) <= 1
        assert max(unfilled) >= max(parts.values()) - 1


def test_beside_a_target_stand_the_images_most_like_it(rows):
    (item,) = [one for one in draw(rows, 500).items if one.text == "text 20 0"]

    def seen(image_id, *sketch):
        return {
            "image_id": image_id,
            "url": f"https://site.example/{image_id}.png",
            "text": f"text of {image_id}",
            "sketch": np.array(sketch, np.int8).tobytes(),
        }

    page = [
        seen("far", 0, 100),
        seen("q20", 100, 1),
        seen("t20", 100, 0),
        seen("near", 50, 5),
        seen("b", 50, 50),
        seen("a", 3, 3),
        seen("opposite", -100, 0),
        seen("blank", 0, 0),
        seen("near", 50, 5),
        seen("removed", 100, 0),
    ]
    gone = Tombstones.of(urls=["https://site.example/removed.png"])
    found = nearest(item, page, gone)
    assert [one.image_id for one in found] == ["near", "a", "b", "blank", "far"]
    assert found[0] == Beside("near", "text of near")
    assert nearest(item, page[:2]) == (), "a target that is not there has no neighbours"
