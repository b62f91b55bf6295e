"""Faces, words about people, and pictures that a model made: what a run does with them, on and off."""

from __future__ import annotations

import pytest
from wired_crawl import HOST, face, file_of, names, opened, tables

#: Where the picture says what made it.
EVIDENCE = "png:Software"
#: The photograph looks like nothing else on its page.
ANY = {"co_occurrence": {"visual_min": -1, "text_min": -1, "pairs_per_query": 5}}
DRAGON, WOMAN = f"{HOST}/m/dragon.png", f"{HOST}/p/woman.png"


def sides(rows):
    return {row[f"{side}_image_url"]: row[f"{side}_generated"] for row in rows for side in ("query", "target")}


def test_a_generated_picture_is_kept_with_that_on_record(crawl):
    crawl.publish()
    for found in (sides(tables(crawl)), sides(crawl.published())):
        assert found[DRAGON] == EVIDENCE
        assert {url for url, said in found.items() if said} == {DRAGON}


def test_or_it_is_dropped_whoever_looks_for_pairs(crawl):
    for miners in (["co_occurrence"], ["entities", "versions"]):
        crawl.mine(generated="drop", miners=miners)
        fell = [row for row in crawl.rejected() if row["reason"] == "generated_image"]
        assert [row["url"] for row in fell] == [DRAGON]
        assert fell[0]["detail"] == EVIDENCE
        assert crawl.entries()["place"]["rejected"]["generated_image"] == 1
    crawl.publish(mine_pairs={"generated": "drop"})
    assert DRAGON not in sides(crawl.published())


def test_texts_about_people_fall_where_that_is_asked_for(crawl):
    crawl.publish(mine_pairs=ANY)
    before = crawl.published()
    assert any("blond hair" in row["instruction"] for row in before)
    assert "(`people_words` is off)" in crawl.card()
    crawl.publish(mine_pairs=ANY, write_instructions={"filters": {"people_words": ["hair", "gender"]}})
    after = crawl.published()
    said = [text["text"] for row in after for text in row["instructions"]]
    assert not any("hair" in text or "woman" in text for text in said)
    assert {row["triplet_id"] for row in after} < {row["triplet_id"] for row in before}
    # What it does not speak of stays, other pictures of that page among it.
    assert ("medal.png", "ribbon.png") in set(names(after))
    fell = crawl.entries("write_instructions")["text"]["rejected"]
    assert sum(count for reason, count in fell.items() if reason.startswith("people")) > 0
    assert "Texts with words about people's hair, gender were dropped" in crawl.card()


def test_faces_are_blurred_in_all_published_files_and_nowhere_else(crawl):
    pytest.importorskip("cv2")
    crawl.publish(mine_pairs=ANY)
    plain = {row["image_id"]: row for row in crawl.published("images")}
    (woman,) = (row["image_id"] for row in plain.values() if row["url"] == WOMAN)
    assert plain[woman]["image"]["bytes"] == face()
    crawl.publish(mine_pairs=ANY, publish_dataset={"blur_faces": "haar"})
    blurred = {row["image_id"]: row for row in crawl.published("images")}
    changed = {one for one, row in blurred.items() if row["image"]["bytes"] != plain[one]["image"]["bytes"]}
    assert changed == {one for one, row in blurred.items() if row["blurred"]}
    assert woman in changed
    assert opened(blurred[woman]["image"]["bytes"]).size == opened(face()).size
    shown = [row[f"{side}_image"] for row in crawl.published("triplets") for side in ("query", "target")
             if row[f"{side}_image_id"] == woman]  # fmt: skip
    assert shown
    assert {one["bytes"] for one in shown} == {blurred[woman]["image"]["bytes"]}
    assert f"in {len(changed)} of {len(plain)} images" in crawl.card()
    # The rows beside the files are the same, and so is everything once it is off again.
    crawl.publish(mine_pairs=ANY)
    assert {row["image_id"]: row for row in crawl.published("images")} == plain
    assert "Faces in images were not blurred" in crawl.card()
    assert file_of(opened(face())) != blurred[woman]["image"]["bytes"]
