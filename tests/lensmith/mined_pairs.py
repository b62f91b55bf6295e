"""A small run up to its mined pairs, made by hand: for commands that go on from there."""

import hashlib
import io

import numpy as np
from PIL import Image

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from lensmith.output_folder import open_output
from schemas.ids import pair_id

TEXTS = ("red fox", "old bridge", "paper boat", "stone arch")


def picture(number):
    sink = io.BytesIO()
    Image.new("RGB", (300 + number, 200), (40 * number, 90, 200)).save(sink, "PNG")
    return sink.getvalue()


def mined(path):
    """A page with four images and all ordered pairs of them, as the stages before leave it."""
    workspace = Workspace(str(path))
    open_output(workspace, 1 << 20, 2)
    files = [picture(number) for number in range(len(TEXTS))]
    ids = [hashlib.sha256(data).hexdigest() for data in files]
    for part, numbers in enumerate(((0, 1), (2, 3))):
        writer = ShardWriter(workspace, "extract_pages", f"{part:032x}")
        for number in numbers:
            url = f"http://site.example/{number}.png"
            writer.row("images", {"image_id": ids[number], "url": url, "bytes": files[number], "source": "archive"})
        writer.commit()
    workspace.set_in_force("extract_pages", [f"{part:032x}" for part in range(2)], "basis")
    writer, page = ShardWriter(workspace, "mine_pairs", "0" * 32), "p" * 32
    for query in range(len(TEXTS)):
        for target in range(len(TEXTS)):
            if query != target:
                writer.row("pairs", pair_row(page, ids, query, target))
    for number, image_id in enumerate(ids):
        sketch = np.random.default_rng(number).integers(-99, 99, 64).astype(np.int8).tobytes()
        place = {"page_id": page, "site": "site.example", "image_id": image_id, "position": number}
        seen = {"url": f"http://site.example/{number}.png", "sketch": sketch, "phash": f"{number:016x}"}
        page_of = {"page_url": "http://site.example/page", "width": 200, "height": 100}
        writer.row("eligible", {**place, **seen, **page_of, "text": TEXTS[number]})
    manifest = writer.commit()
    workspace.set_in_force("mine_pairs", [manifest.key], "basis")
    return workspace, [manifest]


def pair_row(page, ids, query, target):
    return {
        "pair_id": pair_id(page, ids[query], ids[target]),
        "page_id": page,
        "query_image_id": ids[query],
        "target_image_id": ids[target],
        "visual_similarity": 0.4,
        "mining": "co_occurrence",
        "hard_negatives": [ids[query]],
        "page_url": "http://site.example/page",
        "page_title": "Views",
        "query_image_url": f"http://site.example/{query}.png",
        "target_image_url": f"http://site.example/{target}.png",
        "query_text": TEXTS[query],
        "target_text": TEXTS[target],
        "site": "site.example",
    }
