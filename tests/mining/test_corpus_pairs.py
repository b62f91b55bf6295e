"""Pairs of images that stand on different pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import made_places as made
import numpy as np
import pyarrow as pa

from mining.corpus_pairs import corpus_pair, near_duplicate_pair, page_of_pairs
from mining.mine_config import MineConfig
from mining.similarity import cosines, sketch_matrix, text_similarities
from schemas.tables import CANDIDATES, ELIGIBLE


def place(name: str, page: str, **fields: Any) -> dict[str, Any]:
    known = made.facts(name)
    values = {
        "page_id": made.image_id(page)[:32],
        "page_url": f"http://{page}.example/",
        "site": f"{page}.example",
        "image_id": known.image_id,
        "position": 0,
        "url": f"http://img.example/{name}",
        "text": f"the {name}",
        "embedding": made.embedding(len(name)).astype(np.float16),
        "sketch": known.sketch,
        "phash": f"{known.phash:016x}",
        "width": 400,
        "height": 300,
        "label": None,
        "generated": None,
        "own_page_id": None,
        "page_title": page,
        "language": "en",
        "license": None,
        "opt_out": None,
        "crawl_date": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return values | fields


def found(query: dict[str, Any], target: dict[str, Any], *negatives: dict[str, Any]) -> dict[str, Any]:
    return {
        "query_image_id": query["image_id"],
        "target_image_id": target["image_id"],
        "miner": "neighbours",
        "why": "image neighbour 3",
        "negatives": [one["image_id"] for one in negatives],
        "query_box": None,
        "target_box": None,
    }


def composed(*places: dict[str, Any]) -> dict[str, Any]:
    known = {one["image_id"]: one for one in places}
    row = corpus_pair(found(*places), known, MineConfig(hard_negatives={"similarity_max": 1.0}))
    pa.Table.from_pylist([row], CANDIDATES.schema)
    return row


def test_a_pair_belongs_to_the_page_of_its_query_image() -> None:
    query, target, other = place("fox", "one"), place("boat", "two"), place("mill", "three")
    row = composed(query, target, other)
    assert (row["page_id"], row["site"], row["target_page_id"]) == (query["page_id"], "one.example", target["page_id"])
    assert (row["target_page_url"], row["target_page_title"]) == ("http://two.example/", "two")
    assert (row["mining"], row["mining_details"]) == ("neighbours", "neighbours: image neighbour 3")
    assert row["hard_negatives"] == [query["image_id"], other["image_id"]]
    looks = [sketch_matrix([one["sketch"]]) for one in (query, target)]
    assert row["visual_similarity"] == cosines(*looks)[0, 0]
    texts = [np.asarray(one["embedding"], np.float32) for one in (query, target)]
    assert row["text_similarity"] == text_similarities(texts)[0, 1]


def test_on_one_page_there_is_no_page_of_the_target() -> None:
    row = composed(place("fox", "one"), place("boat", "one", position=1))
    assert (row["target_page_id"], row["target_page_url"], row["target_page_title"]) == (None, None, None)


def test_a_licence_is_stated_where_both_pages_state_it_and_opt_outs_are_joined() -> None:
    one = composed(place("fox", "one", license="by", opt_out="noai"), place("boat", "two", license="by", opt_out="tdm"))
    assert (one["license"], one["opt_out"]) == ("by", "noai,tdm")
    assert composed(place("fox", "one", license="by"), place("boat", "two", license="by-sa"))["license"] is None
    assert composed(place("fox", "one", license="by"), place("boat", "two"))["license"] is None


def test_a_missing_text_has_no_similarity_and_equal_texts_are_told() -> None:
    silent = composed(place("fox", "one", text=None, embedding=None), place("boat", "two"))
    assert (silent["text_similarity"], silent["target_text_shared"]) == (None, False)
    assert composed(place("fox", "one", text="A  mill"), place("boat", "two", text="a mill"))["target_text_shared"]


def test_negatives_that_are_unknown_or_look_like_an_end_of_the_pair_are_left_out() -> None:
    query, target = place("fox", "one"), place("boat", "two")
    twin = place("twin", "three", sketch=target["sketch"], phash=target["phash"])
    known = {one["image_id"]: one for one in (query, target, twin)}
    row = corpus_pair(found(query, target, twin, place("gone", "four")), known, MineConfig())
    assert row["hard_negatives"] == [query["image_id"]]


def test_near_duplicates_are_told_by_hash_and_look() -> None:
    query = place("fox", "one")
    twin = place("twin", "two", sketch=query["sketch"], phash=f"{int(query['phash'], 16) ^ 1:016x}")
    colours = place("colours", "two", phash=query["phash"])
    known = {one["image_id"]: one for one in (query, twin, colours)}
    assert near_duplicate_pair(found(query, twin), known, MineConfig())
    assert not near_duplicate_pair(found(query, colours), known, MineConfig())


def test_a_page_shows_all_images_that_its_pairs_name() -> None:
    query, target, negative = place("fox", "one"), place("boat", "two"), place("mill", "one", position=2)
    known = {one["image_id"]: one for one in (query, target, negative)}
    row = corpus_pair(found(query, target, negative), known, MineConfig(hard_negatives={"similarity_max": 1.0}))
    rows = page_of_pairs(query["page_id"], [row], known)
    pa.Table.from_pylist(rows, ELIGIBLE.schema)
    assert [one["image_id"] for one in rows] == sorted(known)
    assert {one["page_id"] for one in rows} == {query["page_id"]}
    own = {one["image_id"]: one["own_page_id"] for one in rows}
    assert own == {query["image_id"]: None, target["image_id"]: target["page_id"], negative["image_id"]: None}
    assert {one["image_id"]: one["site"] for one in rows}[target["image_id"]] == "two.example"
