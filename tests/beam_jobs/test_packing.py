"""How archives are cut, named and ordered changes nothing that a run makes, whatever it is asked for."""

from __future__ import annotations

import pytest
from wired_crawl import annotated_crawl, copied, site, tables

MINE = {
    "miners": ["co_occurrence", "entities", "versions", "neighbours"],
    "neighbours": {"k": 10, "image": {"min": 0.3, "max": 0.97}},
    "scores": ["agreement", "thing_pmi", "alignment", "hubness"],
    "filter": {"target_hubness": {"max": 30}},
    "near_duplicates": {},
    "caps": {"target": 6, "site": 80},
    "quotas": {"co_occurrence": 20},
}


@pytest.fixture(scope="module")
def mined(annotated, tmp_path_factory):
    """The crawl in three shards, published under all these settings."""
    crawl = copied(annotated, tmp_path_factory.mktemp("packing") / "out")
    crawl.publish(mine_pairs=MINE)
    return crawl


def in_order(rows):
    return sorted(rows, key=lambda row: row.get("triplet_id") or row["image_id"])


def same(one, other):
    assert in_order(one.published()) == in_order(other.published())
    assert in_order(one.published("images")) == in_order(other.published("images"))
    assert one.entries() == other.entries()
    for crawl in (one, other):
        crawl.told = {(row["unit"], row["id"], row["reason"]) for row in crawl.rejected() if row["unit"] == "place"}
    assert one.told == other.told


def test_pages_in_other_shards_in_another_order_give_the_same(mined, tmp_path):
    assert len(mined.published()) > 10
    assert {name for row in tables(mined) for name in row["mining"].split("+")} == set(MINE["miners"])
    # Pictures lie in another archive than their pages, and pages after those that name them.
    other = annotated_crawl(tmp_path, site()[::-1], 2)
    other.publish(mine_pairs=MINE)
    same(mined, other)


def test_one_shard_gives_the_same(mined, tmp_path):
    other = annotated_crawl(tmp_path, site(), 1)
    other.publish(mine_pairs=MINE)
    same(mined, other)


def test_shards_that_are_done_backwards_give_the_same_bytes(mined, annotated, tmp_path):
    other = copied(annotated, tmp_path / "out")
    other.run(backwards=True, mine_pairs=MINE)
    assert other.data() == mined.data()
    assert other.card() == mined.card()
