"""Objects found again in other scenes, from files in archives to boxes in the dataset."""

from __future__ import annotations

import pytest
from wired_crawl import names

pytest.importorskip("cv2")

SETTINGS = {"miners": ["instances"], "instances": {"neighbours": 30}}
TWO = {("wall.png", "garden.png"), ("garden.png", "wall.png")}


def test_an_object_in_two_scenes_is_found_with_its_boxes(crawl):
    crawl.publish(mine_pairs=SETTINGS)
    published = crawl.published()
    assert set(names(published)) == TWO
    by_query = {name[0]: row for name, row in zip(names(published), published, strict=True)}
    wall, garden = by_query["wall.png"], by_query["garden.png"]
    assert wall["mining"] == "instances"
    assert wall["mining_details"].startswith("instances: ")
    assert "matches at scale" in wall["mining_details"]
    assert (wall["query_box"], wall["target_box"]) == (garden["target_box"], garden["query_box"])
    for box, centre, side in ((wall["query_box"], (0.5, 0.5), 200), (wall["target_box"], (0.6, 0.45), 140)):
        x, y, width, height = box
        assert (x + width / 2, y + height / 2) == (
            pytest.approx(centre[0], abs=0.08),
            pytest.approx(centre[1], abs=0.08),
        )
        assert width == pytest.approx(side / 480, rel=0.4)
        assert height == pytest.approx(side / 360, rel=0.4)
    counts = crawl.entries()["candidate_pair"]
    assert counts["kept"] == 2
    assert counts["rejected"]["few_matches_agree"] > 100


def test_other_miners_names_join_and_the_boxes_of_the_row_that_stands_stay(crawl):
    pairs = crawl.mine(**{**SETTINGS, "miners": ["instances", "entities"]})
    found = {name: row for name, row in zip(names(pairs), pairs, strict=True) if name in TWO}
    assert {row["mining"] for row in found.values()} == {"instances+entities"}
    assert all(row["query_box"] and row["target_box"] for row in found.values())
    assert all(row["query_box"] is None for row in pairs if row["mining"] == "entities")
