"""Mining over a corpus of admitted pages: what holds of every pair, whatever the shards, parts and kills."""

from __future__ import annotations

import re
from collections import Counter

import made_pages
import numpy as np
import pytest
from made_jobs import DyingEngine, KilledError, PlainEngine
from made_pages import IMAGES, PAGES, image_facts, mined, packed, page, pairs_of

from beam_jobs.tables import rows
from mining.choice import cap_key
from mining.eligibility import near_duplicates
from mining.mine_config import MineConfig
from mining.similarity import cosines, sketch_matrix
from schemas.errors import ConfigurationError

ALL = range(PAGES)
MINERS = ("co_occurrence", "groups_of_six", "neighbours", "mid_rank")
SETTINGS = {
    "co_occurrence": {"visual_min": -1, "text_min": -1},
    "groups_of_six": {"k": 24, "window": {"min": 0.2, "max": 0.95}, "step": 0.01},
    "neighbours": {"k": 15, "image": {"min": 0.4, "max": 0.9}, "pattern": {"min_quantile": 0.3}, "text": {"min": 0.3}},
    "mid_rank": {"first_rank": 4, "last_rank": 12},
}


def config(*miners, **more):
    return MineConfig(miners=miners or MINERS, **SETTINGS | more)


FACTS = {one.image_id: one for one in map(image_facts, range(PAGES * IMAGES))}


def look(one, other):
    return float(cosines(sketch_matrix([FACTS[one].sketch]), sketch_matrix([FACTS[other].sketch]))[0, 0])


def ends(row):
    return row["query_image_id"], row["target_image_id"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """All miners on all pages, exactly."""
    return mined(tmp_path_factory.mktemp("plain"), packed(ALL, 8), config())


def test_all_miners_find_pairs_and_each_pair_stands_once(plain):
    _, found = plain
    assert len(found) == len(pairs_of(found))
    assert {name for row in found for name in row["mining"].split("+")} == set(MINERS)
    assert all(row["mining_details"] or row["mining"] == "co_occurrence" for row in found)


def test_every_pair_names_all_miners_that_find_it(plain, tmp_path):
    _, found = plain
    named = {}
    for name in MINERS:
        for one in pairs_of(mined(tmp_path / name, packed(ALL, 8), config(name, caps={"site": 10**6}))[1]):
            named.setdefault(one, []).append(name)
    assert {ends(row): row["mining"] for row in found} == {one: "+".join(names) for one, names in named.items()}


def test_no_pair_is_one_of_near_duplicates(plain):
    session, found = plain
    assert not any(
        near_duplicates(FACTS[row["query_image_id"]], [FACTS[row["target_image_id"]]], config()).any() for row in found
    )
    composed = [
        rows(session.workspace, one, "rejected")
        for one in session.workspace.manifests("mine_pairs.compose", session.in_force["mine_pairs.compose"])
    ]
    assert any(row["reason"] == "near_duplicates" for one in composed for row in one)


def test_windows_and_steps_hold_for_every_pair(tmp_path):
    _, found = mined(tmp_path / "n", packed(ALL, 8), config("neighbours"))
    seen = Counter()
    for row in found:
        view, score, low, high = re.match(
            r"neighbours: (\w+) neighbour \d+, similarity (\S+) in \[(\S+), (\S+)\]", row["mining_details"]
        ).groups()
        assert float(low) <= float(score) <= float(high)
        distance = (FACTS[row["query_image_id"]].phash ^ FACTS[row["target_image_id"]].phash).bit_count()
        own = {
            "image": row["visual_similarity"],
            "text": row["text_similarity"],
            "pattern": round(1 - distance / 32, 4),
        }
        assert round(own[view], 4) == float(score)
        seen[view] += 1
    assert set(seen) == {"image", "text", "pattern"}
    _, found = mined(tmp_path / "g", packed(ALL, 8), config("groups_of_six"))
    assert found
    groups = {}
    for row in found:
        first, one, other, score = re.match(
            r"groups_of_six: group of (\w+), members (\d) and (\d), similarity to the first (\S+) in",
            row["mining_details"],
        ).groups()
        (full,) = [name for name in FACTS if name.startswith(first)]
        groups.setdefault(full, {})[int(other)] = (row["target_image_id"], float(score))
        if one == "0":
            assert row["query_image_id"] == full
            assert round(row["visual_similarity"], 4) == float(score)
    for first, members in groups.items():
        for place, (member, score) in members.items():
            assert score == look(first, member)
            assert 0.2 <= score <= 0.95
            assert place - 1 not in members or round(members[place - 1][1] - score, 4) >= 0.01


def test_ranks_are_those_of_an_exact_search(tmp_path):
    _, found = mined(tmp_path, packed(ALL, 8), config("mid_rank"))
    ids = sorted(FACTS)
    looks = sketch_matrix([FACTS[one].sketch for one in ids])
    scores = cosines(looks, looks)
    for row in found[::7]:
        own = ids.index(row["query_image_id"])
        order = [one for one in np.lexsort((np.arange(len(ids)), -scores[own])).tolist() if one != own]
        rank = 1 + order.index(ids.index(row["target_image_id"]))
        assert 4 <= rank <= 12
        assert f"image neighbour {rank}, " in row["mining_details"]


@pytest.mark.parametrize(
    ("pages", "size", "part", "backwards"),
    [(ALL, 30, 1000, False), (ALL[::-1], 3, 20, True), ([*ALL[::3], *ALL[1::3], *ALL[2::3]], 7, 1, False)],
)
def test_packing_and_parts_change_nothing(plain, tmp_path, pages, size, part, backwards):
    own = config(search={"images_per_part": part})
    assert mined(tmp_path, packed(pages, size), own, PlainEngine(backwards))[1] == plain[1]


def test_packing_and_parts_change_nothing_where_the_search_is_approximate(tmp_path):
    search = {"exact_up_to": 10, "recall": 0.5, "sample": 100}
    _, first = mined(tmp_path / "a", packed(ALL, 30), config(search=search))
    session, second = mined(
        tmp_path / "b", packed(ALL[::-1], 4), config(search=search | {"images_per_part": 30}), PlainEngine(True)
    )
    assert first == second
    assert len(first) > 100
    (manifest,) = session.workspace.manifests("mine_pairs.recall", session.in_force["mine_pairs.recall"])
    assert {view: one["images"] for view, one in manifest.notes.items()}.keys() == {"image", "pattern", "text"}
    assert all(0.5 <= one["recall"] <= 1 for one in manifest.notes.values())


def test_a_text_stands_for_an_image_whatever_the_shards(plain):
    shown = [page(number) for number in ALL]
    told = [
        (not one.text, known.page_id, one.text)
        for known, images in shown
        for one in images
        if one.image_id == image_facts(3).image_id
    ]
    own = {
        row["query_text"]
        for row in plain[1]
        if row["query_image_id"] == image_facts(3).image_id and row["mining"] == "mid_rank"
    }
    assert len(told) > 5
    assert own <= {min(told)[2]}


def test_caps_and_quotas_are_exact(tmp_path, plain):
    own = config(caps={"target": 3, "site": 60}, quotas={"neighbours": 11, "mid_rank": 10**6})
    session, found = mined(tmp_path, packed(ALL, 8), own)
    for cap, limit in own.caps.given.items():
        assert max(Counter(cap_key(cap, row) for row in found).values()) <= limit
    assert sum(row["mining"].split("+")[0] == "neighbours" for row in found) == 11
    assert pairs_of(found) < pairs_of(plain[1])
    counts = [one.counts for one in session.workspace.manifests("mine_pairs", session.in_force["mine_pairs"])]
    assert not any(one.unbalanced() for one in counts)
    assert sum(one.made["pair"] for one in counts) == len(found)


def test_additions_search_only_what_is_new_and_give_what_a_fresh_run_gives(tmp_path, plain):
    own = config(search={"images_per_part": 40})
    first, _ = mined(tmp_path, packed(ALL[:24], 8), own)
    assert first.worked["mine_pairs.search"] == 3 * 3 * 3
    assert mined(tmp_path, packed(ALL[:24], 8), own)[0].worked["mine_pairs.search"] == 0
    more, found = mined(tmp_path, packed(ALL, 8), own)
    # Of four parts the new one is searched for all, and all for the new one; texts may come to stand elsewhere.
    again = {one.key for one in more.workspace.manifests("mine_pairs.search", more.in_force["mine_pairs.search"])}
    assert len(again) == 4 * 4 * 3
    assert 7 * 3 <= more.worked["mine_pairs.search"] <= 7 * 2 + 16
    assert found == plain[1]


def test_a_killed_run_goes_on(tmp_path, plain):
    ran, after = [], 0
    while True:
        engine = DyingEngine(after % 3)
        try:
            _, found = mined(tmp_path, packed(ALL, 8), config(), engine)
            break
        except KilledError:
            ran += engine.ran
            after += 1
    ran += engine.ran
    assert found == plain[1]
    assert Counter(ran) == Counter(set(ran))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"mid_rank": {"last_rank": PAGES * IMAGES}},
            "150 nearest neighbours are asked for in the view image, and the corpus has 150 images",
        ),
        ({"neighbours": {"k": 9, "image": {"max": -0.9}}}, r"mine_pairs\.neighbours\.image keeps nothing"),
        ({"groups_of_six": {"k": 9, "window": {"max": -0.99}}}, r"groups_of_six\.window keeps nothing"),
        (
            {"quotas": {"groups_of_six": 5}, "groups_of_six": {"k": 3}},
            "the quota of groups_of_six is 5 pairs, and it finds none",
        ),
    ],
)
def test_settings_that_keep_nothing_say_so(tmp_path, settings, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        mined(tmp_path, packed(ALL, 8), config("groups_of_six", "neighbours", "mid_rank", **settings))
    assert str(caught.value).count("\n") == 0


def test_a_quota_that_is_not_filled_is_said(tmp_path):
    said = []
    _, found = mined(tmp_path, packed(ALL, 8), config("mid_rank", quotas={"mid_rank": 10**6}), said=said)
    assert said == [f"mid_rank finds {len(found)} pairs, fewer than its quota of 1000000."]


def test_a_corpus_without_texts_is_searched_for_what_it_has(tmp_path, monkeypatch):
    def silent(number):
        known, images = page(number)
        return known, [made_pages.EligibleImage(one.position, one.url, one.facts) for one in images]

    monkeypatch.setattr(made_pages, "page", silent)
    for number, exact in enumerate((0, 1000)):
        own = config("neighbours", search={"exact_up_to": exact, "images_per_part": 40})
        _, found = mined(tmp_path / str(number), packed(ALL, 8), own)
        assert {row["mining_details"].split()[1] for row in found} == {"image", "pattern"}


def test_clusters_hold_no_more_pairs_than_their_cap_however_shards_are_packed(tmp_path):
    settings = config(caps={"cluster": 3}, search={"clusters": 4})
    session, found = mined(tmp_path / "one", packed(ALL, 8), settings)
    _, again = mined(tmp_path / "two", packed(ALL, 3), settings)
    assert pairs_of(found) == pairs_of(again)
    assert 3 < len(found) <= 12
    dropped = [
        row["reason"]
        for one in session.workspace.manifests("mine_pairs", session.in_force["mine_pairs"])
        for row in rows(session.workspace, one, "rejected")
    ]
    assert dropped.count("cluster_cap") > 100
