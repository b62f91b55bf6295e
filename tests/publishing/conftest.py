"""Small real data for the tests of publishing: 60 triplets over 12 pages of 6 sites, with PNG and JPEG images."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from schemas import ids


def picture(seed: int, kind: str) -> bytes:
    """A picture of 96 × 64 pixels with some texture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (8, 12, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(small).resize((96, 64)).save(sink, kind)
    return sink.getvalue()


@dataclass
class Corpus:
    """Verified rows with their images, and how often images were asked for."""

    rows: list[dict[str, Any]]
    images: dict[str, bytes]
    urls: dict[str, str]
    asked: list[int] = field(default_factory=list)

    def fetch(self, image_ids: Sequence[str]) -> Mapping[str, bytes]:
        self.asked.append(len(image_ids))
        return {one: self.images[one] for one in image_ids}

    def image_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows of the configuration `images` for these triplets."""
        named = {one for row in rows for one in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"])}
        return [{"image_id": one, "url": self.urls[one], "license": None} for one in sorted(named)]


def verified_row(page: int, query: str, target: str, negatives: list[str], urls: Mapping[str, str]) -> dict[str, Any]:
    """One row of the table `verified`."""
    url = f"https://www.site{page % 6}.example/pages/{page}.html"
    page_id = ids.page_id(url, "0" * 64)
    pair = ids.pair_id(page_id, query, target)
    text = f"the same motif with {target[:4]} on page {page}"
    texts = [
        {
            "text": one,
            "category": category,
            "direction": direction,
            "length": "short",
            "method": "span-copy",
            "model": "smollm2-135m",
            "prompt": "span_copy/1",
            "score": 0.5,
            "verdict": "pass",
        }
        for one, category, direction in ((text, "attribute", "forward"), (f"{text}, closer", None, "backward"))
    ]
    return {
        "triplet_id": ids.triplet_id(pair, text),
        "instruction": text,
        "instructions": texts,
        "pair_id": pair,
        "page_id": page_id,
        "query_image_id": query,
        "target_image_id": target,
        "visual_similarity": 0.5 + page / 100,
        "text_similarity": None if page % 3 == 0 else 0.25,
        "mining": "co_occurrence",
        "hard_negatives": [query, *negatives],
        "page_url": url,
        "page_title": f"Page {page} “quoted” & more",
        "query_image_url": urls[query],
        "target_image_url": urls[target],
        "query_text": "a motif",
        "target_text": f"another motif {target[:4]}",
        "query_label": None,
        "target_label": "vase",
        "language": "en",
        "license": "https://creativecommons.org/licenses/by-sa/4.0/" if page % 2 else None,
        "opt_out": None,
        "crawl_date": datetime(2026, 3, 1 + page, 12, tzinfo=UTC),
        "site": f"site{page % 6}.example",
        "rank_text": 2,
        "rank_query": 3,
        "rank_both": 1,
        "candidates": 6,
        "verdict": "pass",
    }


def build_corpus() -> Corpus:
    """12 pages, each with 5 images and 5 triplets: each image leads to the next one."""
    images: dict[str, bytes] = {}
    urls: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for page in range(12):
        names = []
        for position in range(5):
            data = picture(10 * page + position, "PNG" if position % 2 else "JPEG")
            image_id = ids.image_id(data)
            images[image_id] = data
            urls[image_id] = f"https://img.site{page % 6}.example/{page}/{position}"
            names.append(image_id)
        for position in range(5):
            query, target = names[position], names[(position + 1) % 5]
            negatives = [names[(position + 2) % 5], names[(position + 3) % 5]]
            rows.append(verified_row(page, query, target, negatives, urls))
    return Corpus(rows, images, urls)


@pytest.fixture
def corpus() -> Corpus:
    """The 60 triplets."""
    return build_corpus()
