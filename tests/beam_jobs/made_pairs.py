"""Shards of `mine_pairs` as the job leaves them."""

import numpy as np

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from mining.models.minilm import MiniLM
from schemas.ids import pair_id

TEXTS = ("red fox", "old bridge", "paper boat", "stone arch")


def mined(path, shards=2, pages=1, **more):
    """Shards of `mine_pairs` as the job leaves them: pages with the same texts, all ordered pairs of their images."""
    workspace, encoder, found = Workspace(str(path)), MiniLM(), []
    vectors = encoder.encode(TEXTS)
    for shard in range(shards):
        writer = ShardWriter(workspace, "mine_pairs", f"{shard:032x}")
        for page in range(pages):
            name = f"{shard}{page}" + "0" * 30
            images = {f"{shard}{page}{number}" + "a" * 61: number for number in range(len(TEXTS))}
            for query in images:
                for target in images:
                    if query != target:
                        writer.row("pairs", pair_row(name, query, target, images, **more))
            for image, number in images.items():
                sketch = np.random.default_rng(number).integers(-99, 99, 64).astype(np.int8).tobytes()
                writer.row(
                    "eligible",
                    {
                        "page_id": name,
                        "page_url": "http://site.example/page",
                        "site": "site.example",
                        "image_id": image,
                        "position": number,
                        "url": f"http://site.example/{image}",
                        "text": TEXTS[number],
                        "embedding": vectors[number].astype(np.float16),
                        "sketch": sketch,
                        "phash": "0" * 16,
                        "width": 200,
                        "height": 100,
                    },
                )
        found.append(writer.commit())
    return workspace, found


def pair_row(page, query, target, images, label=None):
    return {
        "pair_id": pair_id(page, query, target),
        "page_id": page,
        "query_image_id": query,
        "target_image_id": target,
        "visual_similarity": 0.4,
        "text_similarity": 0.3,
        "mining": "co_occurrence",
        "hard_negatives": [query],
        "page_url": "http://site.example/page",
        "page_title": "Views",
        "query_image_url": f"http://site.example/{query}",
        "target_image_url": f"http://site.example/{target}",
        "query_text": TEXTS[images[query]],
        "target_text": TEXTS[images[target]],
        "query_label": label,
        "target_label": label,
        "site": "site.example",
    }
