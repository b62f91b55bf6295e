"""Rows of `pairs` from what a miner of the corpus found: the images' facts joined, and hard negatives checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mining.eligibility import near_duplicates
from mining.hard_negatives import hard_negatives, make_pool
from mining.mine import joined_signals
from mining.mine_config import MineConfig
from mining.places import ImageFacts
from mining.similarity import cosines, sketch_matrix, text_similarities
from schemas.crawl_tables import SEARCHED
from schemas.ids import pair_id

#: An image's place: a row of `eligible`.
Place = Mapping[str, Any]


def corpus_pair(found: Mapping[str, Any], places: Mapping[str, Place], config: MineConfig) -> dict[str, Any]:
    """The row of `candidates` of a row of `found`; `places`: image id → the place that stands for it.

    The pair belongs to the query image's page. A licence is stated only where both pages state the same."""
    query, target = places[found["query_image_id"]], places[found["target_image_id"]]
    facts, goal = place_facts(query), place_facts(target)
    apart = query["page_id"] != target["page_id"]
    visual = cosines(sketch_matrix([query["sketch"]]), sketch_matrix([target["sketch"]]))[0, 0]
    text = text_similarities([_embedding(query), _embedding(target)])[0, 1]
    pool = make_pool(place_facts(places[one]) for one in found["negatives"] if one in places)
    said = (query["text"] or "").casefold().split(), (target["text"] or "").casefold().split()
    return {
        "pair_id": pair_id(query["page_id"], query["image_id"], target["image_id"]),
        "page_id": query["page_id"],
        "query_image_id": query["image_id"],
        "target_image_id": target["image_id"],
        "visual_similarity": float(visual),
        "text_similarity": None if np.isnan(text) else float(text),
        "mining": found["miner"],
        "mining_details": f"{found['miner']}: {found['why']}",
        "hard_negatives": hard_negatives(facts, goal, [pool], config),
        "page_url": query["page_url"],
        "page_title": query["page_title"],
        "query_image_url": query["url"],
        "target_image_url": target["url"],
        "query_text": query["text"],
        "target_text": target["text"],
        "target_text_shared": bool(said[1]) and said[0] == said[1],
        "query_label": query["label"],
        "target_label": target["label"],
        "language": query["language"],
        "license": query["license"] if query["license"] == target["license"] else None,
        "opt_out": joined_signals(query["opt_out"], target["opt_out"]),
        "crawl_date": query["crawl_date"],
        "site": query["site"],
        "target_page_id": target["page_id"] if apart else None,
        "target_page_url": target["page_url"] if apart else None,
        "target_page_title": target["page_title"] if apart else None,
        "query_box": found["query_box"],
        "target_box": found["target_box"],
        "query_generated": query["generated"],
        "target_generated": target["generated"],
    }


def near_duplicate_pair(found: Mapping[str, Any], places: Mapping[str, Place], config: MineConfig) -> bool:
    """Whether query and target of a row of `found` look the same."""
    query, target = (place_facts(places[found[f"{side}_image_id"]]) for side in ("query", "target"))
    return bool(near_duplicates(query, [target], config).any())


def harder(row: Mapping[str, Any], wrong: Collection[str], config: MineConfig) -> list[str]:
    """The hard negatives of a row of `candidates`: the query image, then a model's `wrong` answers to the pair, hardest
    first, then those that it has, no more than the settings allow."""
    first, *others = row["hard_negatives"]
    ends = (row["query_image_id"], row["target_image_id"])
    asked = dict.fromkeys(one for one in (*wrong, *others) if one not in ends)
    return [first, *list(asked)[: config.hard_negatives.count]]


def page_of_pairs(
    page_id: str, pairs: Sequence[Mapping[str, Any]], places: Mapping[str, Place]
) -> list[dict[str, Any]]:
    """Rows of `eligible` for a page whose pairs lead elsewhere: all images that the pairs name, by id, under the page;
    `own_page_id` is where an image stands itself."""
    named = {one for row in pairs for one in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"])}
    rows = []
    for image_id in sorted(named & places.keys()):
        place = places[image_id]
        own = place["own_page_id"] or place["page_id"]
        more = {"page_id": page_id, "own_page_id": own if own != page_id else None}
        rows.append({**place, **more, **dict.fromkeys(SEARCHED)})
    return rows


def place_facts(place: Place) -> ImageFacts:
    """What comparing images needs of a row of `eligible`."""
    return ImageFacts(place["image_id"], place["width"], place["height"], int(place["phash"], 16), 0.0, place["sketch"])


def _embedding(place: Place) -> Any:
    vector = place["embedding"]
    return None if vector is None else np.asarray(vector, np.float32)
