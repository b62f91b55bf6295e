from angle_pages import DEGREES, eligible

from synthesis.verification.distractors import Lookalikes

LOOKS = {"q": 0, "t": 60, "a": 10, "b": 90, "c": 50, "d": 170}
PAGE = eligible(DEGREES | {"d": None}, LOOKS)


def of(rows, query="q", target="t", page="page"):
    return [one.image_id for one in Lookalikes(rows).of(page, query, target)]


def test_the_most_similar_images_of_the_page_without_the_query():
    # From 60°: c 10, b 30, a 50, q 60, d 110 away.
    assert of(PAGE) == ["c", "b", "a"]
    assert of(PAGE, query="c") == ["b", "a", "q"]
    assert of(PAGE, target="q", query="t") == ["a", "c", "b"]
    assert [one.text for one in Lookalikes(PAGE).of("page", "q", "t")] == ["at 120", "at 80", "at 40"]


def test_other_pages_fill_up_and_come_last():
    here = [row for row in PAGE if row["image_id"] in ("q", "t", "d")]
    others = eligible({"x": 1, "y": 2, "z": 3}, {"x": 10, "y": 61, "z": 70}, "other")
    assert of(here + others) == ["d", "y", "z"]
    # The same images stand on the other page too: none comes twice, and the two are none.
    again = eligible(DEGREES | {"d": None}, LOOKS, "other")
    assert of(here + again) == ["d", "c", "b"]
    assert of(here) == ["d"]
    assert of(here + others, page="other", query="x", target="y") == ["z", "t", "q"]


def test_ties_are_settled_by_id_whatever_the_order():
    looks = dict.fromkeys(LOOKS, 30)
    rows = eligible(DEGREES | {"d": None}, looks)
    assert of(rows) == of(rows[::-1]) == ["a", "b", "c"]


def test_copies_of_the_target_are_left_out_but_not_what_shares_a_hash_by_chance():
    rows = eligible(DEGREES, {"q": 0, "t": 60, "a": 61, "b": 90, "c": 50})
    by_name = {row["image_id"]: row for row in rows}
    by_name["a"]["phash"] = by_name["t"]["phash"]
    by_name["b"]["phash"] = by_name["t"]["phash"]
    assert of(rows) == ["c", "b"]


def test_sketches_of_nothing_are_alike_to_nothing():
    rows = eligible(DEGREES, LOOKS)
    rows[1]["sketch"] = bytes(2)
    assert of(rows) == ["a", "b", "c"]
