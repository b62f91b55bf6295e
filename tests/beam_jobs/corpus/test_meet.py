"""Miners of meetings from pages to the dataset: names of things, versions, `hreflang` alternates."""

from __future__ import annotations

from wired_crawl import command, names, tables

ENTITIES = {("spring.png", "night.png"), ("snow.png", "night.png"), ("wall.png", "garden.png")}
VERSIONS = {
    ("bridge-before.png", "bridge-after.png"): "versions: state before → after",
    ("bridge-after.png", "bridge-before.png"): "versions: state after → before",
    ("one.png", "eins.png"): "versions: language en → de",
    ("eins.png", "one.png"): "versions: language de → en",
    ("two.png", "zwei.png"): "versions: language en → de",
    ("zwei.png", "two.png"): "versions: language de → en",
}


def test_images_of_one_named_thing_meet_over_pages_and_sites(crawl):
    pairs = crawl.mine(miners=["entities"])
    found = dict(zip(names(pairs), pairs, strict=True))
    assert found.keys() >= ENTITIES | {(target, query) for query, target in ENTITIES}
    night = found["spring.png", "night.png"]
    assert (night["mining"], night["mining_details"]) == (
        "entities",
        "entities: the same kinderdijk windmill (another site)",
    )
    assert night["page_url"] == "http://gallery.example/windmills.html"
    assert (night["target_page_url"], night["target_page_title"]) == ("http://travel.example/holland.html", "Holland")
    assert night["target_page_id"] not in (None, night["page_id"])
    assert night["hard_negatives"][0] == night["query_image_id"]
    inside = found["spring.png", "snow.png"]
    assert (inside["target_page_id"], inside["target_page_url"]) == (None, None)
    counts = crawl.entries()
    assert counts["pair"]["kept"] == len(pairs) == counts["page"]["out"]["pair"]


def test_files_before_and_after_and_pages_in_two_languages_are_versions(crawl):
    pairs = crawl.mine(miners=["versions"])
    found = {name: row["mining_details"] for name, row in zip(names(pairs), pairs, strict=True)}
    assert found.items() >= VERSIONS.items()
    assert all(row["mining"] == "versions" for row in pairs)
    reverse = {(row["target_image_id"], row["query_image_id"]) for row in pairs}
    assert reverse == {(row["query_image_id"], row["target_image_id"]) for row in pairs}


def test_one_direction_and_other_kinds_are_settings(crawl):
    pairs = crawl.mine(miners=["versions"], versions={"kinds": ["state"], "both_directions": False})
    assert list(names(pairs)) == [("bridge-before.png", "bridge-after.png")]


def test_a_pair_stands_once_and_names_all_its_miners_in_the_dataset(crawl):
    settings = {"miners": ["entities", "versions"]}
    crawl.publish(mine_pairs=settings)
    pairs = {(row["query_image_id"], row["target_image_id"]): row for row in tables(crawl)}
    assert len(pairs) == len(tables(crawl))
    published = crawl.published()
    assert published
    both = next(row for name, row in zip(names(published), published, strict=True) if name[1] == "bridge-after.png")
    assert both["mining"] == "entities+versions"
    assert both["mining_details"] == "entities: the same old bridge; versions: state before → after"
    for row in published:
        pair = pairs[row["query_image_id"], row["target_image_id"]]
        for column in ("mining", "mining_details", "target_page_id", "target_page_url", "page_url", "hard_negatives"):
            assert row[column] == pair[column], column
    shown = {row["image_id"] for row in crawl.published("images")}
    named = {one for row in published for one in (row["query_image_id"], row["target_image_id"])}
    assert shown >= named
    assert "Both images stand on one page, or on two" in crawl.card()
    assert crawl.entries("publish_dataset")["triplet"]["kept"] == len(published)


def test_what_the_miners_find_changes_with_their_settings_alone(crawl):
    crawl.mine(miners=["versions"])
    crawl.mine(miners=["versions"])
    assert not any(crawl.worked.values())
    crawl.mine(miners=["versions"], versions={"pairs_per_template": 1, "both_directions": False})
    assert crawl.worked["mine_pairs.keys"] == crawl.worked["mine_pairs.met"] == 3
    assert crawl.worked["mine_pairs.pages"] == 0


def test_the_command_finds_what_the_plain_loop_finds(crawl):
    settings = {"miners": ["versions", "entities"]}
    status, said = command(crawl, "mine-pairs", mine_pairs=settings)
    assert status == 0, said
    by_command = tables(crawl)
    assert {row["mining"] for row in by_command} == {"versions", "entities", "versions+entities"}
    assert sorted(row["pair_id"] for row in crawl.mine(**settings)) == sorted(row["pair_id"] for row in by_command)
    # Found by the engine and by the loop under the same keys.
    assert not any(crawl.worked.values())
