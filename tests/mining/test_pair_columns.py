"""Pairs composed as columns are those that are composed one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mining.corpus_pairs import corpus_pair, near_duplicate_pair, page_of_pairs
from mining.mine_config import MineConfig
from mining.pair_columns import corpus_pairs, near_duplicate_pairs, pages_of_pairs
from mining.place_columns import PlaceColumns, unsearched
from schemas.crawl_tables import SEARCHED
from schemas.ids import digest
from schemas.tables import CANDIDATES, ELIGIBLE, FOUND

_NAMES = [digest("image", str(number)) for number in range(40)]


def eligible(number: int) -> dict[str, Any]:
    dice = np.random.default_rng(number)
    # Three in four look like one of five pictures, so that there are near duplicates; some have no text.
    like = np.random.default_rng(number % 5 + 100)
    sketch = like.integers(-100, 100, 64) + (dice.integers(-9, 9, 64) if number % 4 else dice.integers(-90, 90, 64))
    vector = dice.normal(size=8)
    return {
        "page_id": digest("page", str(number // 3))[:32],
        "page_url": f"http://site{number // 3}.example/",
        "site": f"site{number // 3}.example",
        "image_id": _NAMES[number],
        "position": number,
        "url": f"http://img.example/{number}.jpg",
        "text": None if number % 3 == 0 else f"The  Bridge {number % 4}",
        "embedding": None if number % 3 == 0 else (vector / np.linalg.norm(vector)).astype(np.float16).tolist(),
        "sketch": (sketch * (number != 7)).astype(np.int8).tobytes(),
        "phash": f"{int(like.integers(0, 2**62)) ^ (1 << (number % 3)):016x}",
        "width": 400,
        "height": 300,
        "label": "bridge" if number % 2 else None,
        "generated": "iptc" if number == 4 else None,
        "own_page_id": None,
        "page_title": None if number % 7 == 0 else f"Page {number // 3}",
        "language": "en",
        "license": (None, "cc-by", "cc0")[number % 3],
        "opt_out": (None, "noai", "noai,robots")[number // 15],
        "crawl_date": datetime(2026, 1, 1, tzinfo=UTC),
        "caption": None if number % 4 else f"a bridge {number}",
        "pattern_sketch": bytes([number]) * 8,
        "caption_sketch": None if number % 4 else bytes([number]) * 8,
    }


ROWS = [eligible(number) for number in range(40)]
PLACES = {row["image_id"]: row for row in pa.Table.from_pylist(ROWS, ELIGIBLE.schema).to_pylist()}


def columns() -> PlaceColumns:
    """The places in three tables, in no order."""
    shuffled = [ROWS[place] for place in np.random.default_rng(1).permutation(len(ROWS))]
    return PlaceColumns.of(
        pa.Table.from_pylist(part, ELIGIBLE.schema) for part in (shuffled[:9], [], shuffled[9:30], shuffled[30:])
    )


def founds(count: int = 300) -> pa.RecordBatch:
    dice = np.random.default_rng(2)
    rows = []
    for number in range(count):
        query, target = dice.choice(len(_NAMES), 2, replace=False)
        negatives = [_NAMES[one] for one in dice.integers(0, len(_NAMES), number % 9)]
        box = [0.1, 0.2, 0.5, 0.5] if number % 5 == 0 else None
        rows.append(
            {
                "query_image_id": _NAMES[query],
                "target_image_id": _NAMES[target],
                "miner": ("neighbours", "mid_rank")[number % 2],
                "score": 0.5,
                "why": f"rank {number}",
                "negatives": [*negatives, digest("nowhere")] if number % 4 == 0 else negatives,
                "query_box": box,
                "target_box": None,
            }
        )
    return pa.Table.from_pylist(rows, FOUND.schema).combine_chunks().to_batches()[0]


@pytest.mark.parametrize("limit", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("bits", [2, 16])
def test_rows_equal_those_composed_one_by_one(limit: float, bits: int) -> None:
    config = MineConfig(near_duplicate_bits=bits, hard_negatives={"similarity_max": limit, "count": 3})
    found, places = founds(), columns()
    single = [corpus_pair(row, PLACES, config) for row in found.to_pylist()]
    assert corpus_pairs(found, places, config).equals(pa.Table.from_pylist(single, CANDIDATES.schema))
    alike = [near_duplicate_pair(row, PLACES, config) for row in found.to_pylist()]
    assert near_duplicate_pairs(found, places, config).tolist() == alike
    assert any(alike)


def test_pages_of_pairs_equal_those_made_one_by_one() -> None:
    config, places = MineConfig(), columns()
    pairs = corpus_pairs(founds(), places, config).sort_by([("page_id", "ascending"), ("pair_id", "ascending")])
    rows = pairs.to_pylist()
    single = [
        row
        for page_id in sorted({row["page_id"] for row in rows})
        for row in page_of_pairs(page_id, [row for row in rows if row["page_id"] == page_id], PLACES)
    ]
    pages = pages_of_pairs(pairs, places)
    assert pages.equals(pa.Table.from_pylist(single, ELIGIBLE.schema))
    assert all(pages[name].null_count == len(pages) for name in SEARCHED)
    assert unsearched(pages).equals(pages)
    assert unsearched(pa.Table.from_pylist(ROWS, ELIGIBLE.schema))["pattern_sketch"].null_count == len(ROWS)
    assert 0 < pages["caption"].null_count < len(pages)


def test_places_without_a_text_and_no_places_at_all() -> None:
    config = MineConfig()
    places = PlaceColumns.of([pa.Table.from_pylist([ROWS[0], ROWS[3]], ELIGIBLE.schema)])
    found = founds(1).to_pylist()[0] | {"query_image_id": _NAMES[0], "target_image_id": _NAMES[3], "negatives": []}
    batch = pa.Table.from_pylist([found], FOUND.schema).to_batches()[0]
    row = corpus_pairs(batch, places, config).to_pylist()[0]
    assert row["text_similarity"] is None
    assert row["hard_negatives"] == [_NAMES[0]]
    assert not len(PlaceColumns.of([]).rows)


def test_sketches_of_two_lengths_are_refused() -> None:
    short = ROWS[1] | {"sketch": b"12"}
    for tables in ([[ROWS[0], short]], [[ROWS[0]], [short]]):
        with pytest.raises(ValueError, match="several lengths"):
            PlaceColumns.of(pa.Table.from_pylist(one, ELIGIBLE.schema) for one in tables)
