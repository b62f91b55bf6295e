"""Random candidates of several miners: few images and pages, so that pairs meet and caps are passed."""

from __future__ import annotations

import random
from typing import Any

from made_places import image_id

from mining.mine_config import MineConfig
from schemas.ids import pair_id

MINERS = ("neighbours", "co_occurrence", "mid_rank")


def candidates(seed: int, count: int, images: int = 12, pages: int = 5) -> list[dict[str, Any]]:
    """Rows of `candidates`, some of one pair: of several miners and pages, and of one miner in several words."""
    chance = random.Random(seed)
    ids = [image_id(f"image {number}") for number in range(images)]
    found = []
    for number in range(count):
        query, target = chance.sample(ids, 2)
        page = image_id(f"page {chance.randrange(pages)}")[:32]
        miner = chance.choice(MINERS)
        found.append(
            {
                "pair_id": pair_id(page, query, target),
                "page_id": page,
                "query_image_id": query,
                "target_image_id": target,
                "visual_similarity": 0.5,
                "mining": miner,
                "mining_details": f"{miner}: words {number}" if chance.random() < 0.9 else None,
                "hard_negatives": [query],
                "page_url": f"http://site{page[0]}.example/",
                "query_image_url": f"http://{query[0]}.example/q.png",
                "target_image_url": f"http://www.host{int(target[0], 16) % 3}.example/t.png",
                "query_text": None,
                "target_text": None,
                "site": f"site{int(page[0], 16) % 3}.example",
            }
        )
    return found


def some_config(seed: int) -> MineConfig:
    """Caps and quotas, some of them small."""
    chance = random.Random(seed)
    caps = {name: chance.choice((None, 1, 3, 8)) for name in ("query", "target", "site", "host", "cluster")}
    quotas = {name: chance.choice((1, 4, 12)) for name in MINERS if chance.random() < 0.5}
    return MineConfig(miners=MINERS, caps=caps, quotas=quotas)
