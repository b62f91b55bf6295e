"""Views of what models say of an image: patterns by a vision model, captions. Whatever the shards and parts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import made_pages
import made_places as made
import pytest
from made_jobs import PlainEngine
from made_pages import IMAGES, PAGES, SCENE, image_facts, mined, packed, pairs_of

from beam_jobs.tables import rows
from mining.mine_config import MineConfig
from mining.similarity import cosines, sketch_matrix
from schemas.crawl_tables import SEARCHED

ALL = range(PAGES)
CONFIG = {
    "miners": ("co_occurrence", "neighbours", "mid_rank"),
    "co_occurrence": {"visual_min": -1, "text_min": -1},
    "neighbours": {
        "k": 15,
        "image": {"min": 0.4, "max": 0.9},
        "pattern": {"min_quantile": 0.3},
        "caption": {"min_quantile": 0.3},
        "text": {"min": 0.3},
    },
    "mid_rank": {"view": "caption", "first_rank": 4, "last_rank": 12},
}


def seen(number):
    """An image as models see it: patterns in scenes of their own, captions of three in four."""
    known = image_facts(number)
    like = number - number % 10 // 9
    pattern = made.sketch(3000 + like, like=like % 7, share=0.5, length=48)
    caption = None if number % 4 == 3 else made.sketch(5000 + like, like=like // SCENE + 50, share=0.4, length=32)
    said = None if caption is None else f"a thing of scene {like // SCENE}"
    return replace(known, caption=said, pattern_sketch=pattern, caption_sketch=caption)


FACTS = {one.image_id: one for one in map(seen, range(PAGES * IMAGES))}


@pytest.fixture(autouse=True)
def _seen(monkeypatch):
    monkeypatch.setattr(made_pages, "image_facts", seen)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_pages, "image_facts", seen)
        return mined(tmp_path_factory.mktemp("plain"), packed(ALL, 8), MineConfig(**CONFIG))


def test_scores_are_those_of_the_views_own_sketches(plain):
    said = Counter()
    for row in plain[1]:
        found = re.findall(
            r"(?:neighbours|mid_rank): (\w+) neighbour \d+, similarity (-?[\d.]+)", row["mining_details"] or ""
        )
        for view, score in found:
            said[view] += 1
            if view in ("pattern", "caption"):
                ends = (FACTS[row[f"{side}_image_id"]] for side in ("query", "target"))
                one, other = (sketch_matrix([getattr(end, f"{view}_sketch")]) for end in ends)
                assert float(cosines(one, other)[0, 0]) == float(score)
    assert min(said[view] for view in ("image", "pattern", "caption", "text")) > 20


def test_an_image_without_a_caption_is_in_no_pair_of_that_view(tmp_path):
    own = MineConfig(miners=["mid_rank"], mid_rank=CONFIG["mid_rank"])
    _, found = mined(tmp_path, packed(ALL, 8), own)
    assert found
    named = {one for pair in pairs_of(found) for one in pair}
    assert named <= {image_id for image_id, one in FACTS.items() if one.caption is not None}


def test_captions_stand_beside_pairs_and_what_was_searched_does_not(plain):
    session, _ = plain
    manifests = session.workspace.manifests("mine_pairs", session.in_force["mine_pairs"])
    shown = [row for one in manifests for row in rows(session.workspace, one, "eligible")]
    assert {row["own_page_id"] is None for row in shown} == {True, False}
    assert {row[name] for row in shown for name in SEARCHED} == {None}
    assert all(row["caption"] == FACTS[row["image_id"]].caption for row in shown)


@pytest.mark.parametrize(
    ("pages", "size", "part", "backwards"), [(ALL, 30, 1000, False), (ALL[::-1], 3, 20, True), (ALL[::-1], 7, 1, False)]
)
def test_packing_and_parts_change_nothing(plain, tmp_path, pages, size, part, backwards):
    own = MineConfig(**CONFIG, search={"images_per_part": part})
    assert mined(tmp_path, packed(pages, size), own, PlainEngine(backwards))[1] == plain[1]


def test_nor_do_they_where_the_search_is_approximate(tmp_path):
    search = {"exact_up_to": 10, "recall": 0.5, "sample": 100}
    _, first = mined(tmp_path / "a", packed(ALL, 30), MineConfig(**CONFIG, search=search))
    small = MineConfig(**CONFIG, search=search | {"images_per_part": 30})
    session, second = mined(tmp_path / "b", packed(ALL[::-1], 4), small, PlainEngine(True))
    assert first == second
    (manifest,) = session.workspace.manifests("mine_pairs.recall", session.in_force["mine_pairs.recall"])
    assert manifest.notes.keys() == {"image", "pattern", "caption", "text"}


def test_an_image_lies_with_its_first_shard_in_every_view_but_that_of_texts(plain, tmp_path):
    own = MineConfig(**CONFIG, search={"images_per_part": 40})
    first, _ = mined(tmp_path, packed(ALL[:24], 8), own)
    more, found = mined(tmp_path, packed(ALL, 8), own)
    # Of four parts the new one is searched for all, and all for the new one; texts may come to stand elsewhere.
    assert first.worked["mine_pairs.search"] == 3 * 3 * 4
    assert 7 * 4 <= more.worked["mine_pairs.search"] <= 7 * 3 + 16
    assert found == plain[1]
