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

from publishing.config import ChainsConfig, PublishConfig
from publishing.description import Description, Facts, ModelFact, PromptFact
from publishing.plain import publish_rows
from publishing.splits import split_of_unit
from schemas import ids
from schemas.published import SPLITS
from schemas.storage import Folder


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
    url = f"https://www.site{page % 6 + 1}.example/pages/{page}.html"
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
        "site": f"site{page % 6 + 1}.example",
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
            urls[image_id] = f"https://img.site{page % 6 + 1}.example/{page}/{position}"
            names.append(image_id)
        for position in range(5):
            query, target = names[position], names[(position + 1) % 5]
            negatives = [names[(position + 2) % 5], names[(position + 3) % 5]]
            rows.append(verified_row(page, query, target, negatives, urls))
    return Corpus(rows, images, urls)


FACTS = Facts(
    version="0.1.0",
    preset="local",
    sources=("wand-00000.warc.gz", "wand-00001.warc.gz"),
    models=(ModelFact(role="image features", name="efficientnet-lite0", revision="0.1.0"),),
    prompts=(PromptFact(name="span_copy", version="1", text="Title: {{ title }}\n```\nfrom {{ query }}\n```"),),
    commands=("lensmith run --preset local --input 'wand/*.warc.gz' --output OUT",),
    configuration={"publish_dataset": {"split_unit": "domain"}},
)
FUNNEL = {
    "stages": [
        {
            "stage": "publish_dataset",
            "unit": "triplet",
            "in": 61,
            "kept": 60,
            "rejected": {"crosses_split": 1},
            "failed": {},
            "deferred": 0,
            "out": {"triplet": 60},
        }
    ]
}
#: Several row groups and files even of this small data.
CUT = PublishConfig(
    shares={"train": 0.5, "validation": 0.25, "test": 0.25},
    target_bytes=200_000,
    row_group_min_bytes=40_000,
    row_group_max_bytes=60_000,
)


def publish(corpus: Corpus, target: Folder, config: PublishConfig = CUT, owner: str = "run-a") -> Description:
    """Publish a corpus by the plain loop; scratch files lie beside the dataset."""
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for row in corpus.rows:
        splits[split_of_unit(config.seed, row["site"], config.shares)].append(row)
    images = {split: corpus.image_rows(rows) for split, rows in splits.items()}
    scratch = Folder(f"{target.path}-scratch")
    return publish_rows(
        target, scratch, splits, images, corpus.fetch, owner=owner, facts=FACTS, config=config, funnel=FUNNEL
    )


@pytest.fixture
def corpus() -> Corpus:
    """The 60 triplets."""
    return build_corpus()


@pytest.fixture
def dataset(tmp_path, corpus) -> Folder:
    """The 60 triplets, published."""
    target = Folder(str(tmp_path / "dataset"))
    publish(corpus, target)
    return target


@pytest.fixture
def publish_corpus():
    """The function that publishes a corpus."""
    return publish


@pytest.fixture
def chained(tmp_path, corpus) -> Folder:
    """The 60 triplets, published with their chains."""
    target = Folder(str(tmp_path / "chained"))
    publish(corpus, target, CUT.model_copy(update={"chains": ChainsConfig()}))
    return target
