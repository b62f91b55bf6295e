"""Admitted pages of a small corpus, as the job `mine_pairs.pages` leaves them, in any packing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import made_places as made
import numpy as np
from made_jobs import PlainEngine

from beam_jobs.corpus.images import PAGES_JOB
from beam_jobs.corpus.run import run_corpus
from beam_jobs.mine_pairs import _eligible_row
from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace
from mining.annotation import AnnotateConfig
from mining.mine import mine_page
from mining.mine_config import MineConfig
from mining.miners.make import page_miner
from mining.places import EligibleImage, ImageFacts, PageRecord
from schemas.ids import digest

PAGES = 30
IMAGES = 5
#: Images of one scene look alike, those of different scenes do not.
SCENE = 25


def image_facts(number: int) -> ImageFacts:
    """An image of its scene; every tenth is a near duplicate of the one before."""
    known = made.facts(f"image {number}")
    like = number - 1 if number % 10 == 9 else number
    sketch = made.sketch(1000 + like, like=like // SCENE, share=0.5, length=64)
    phash = int(made.image_id(f"scene {like // SCENE}")[:16], 16) ^ (like * 2654435761 & 0x0F0F0F)
    return ImageFacts(known.image_id, 400, 300, phash ^ (number != like), 0.2, sketch)


def page(number: int) -> tuple[PageRecord, list[EligibleImage]]:
    """A page of one of five sites; each third shows image 3 as well, with a text of its own or none."""
    url = f"http://www.site{number % 5}.example/{number}.html"
    known = PageRecord(digest("page", url)[:32], url, f"site{number % 5}.example", f"Page {number}", "en")
    shown = list(range(number * IMAGES, (number + 1) * IMAGES))
    if number % 3 == 2:
        shown.append(3)
    images = []
    for position, one in enumerate(shown):
        text = None if (one + number) % 7 == 0 else f"thing {one % SCENE} of page {number}"
        vector = None if text is None else made.embedding(one % SCENE * 31 + number, 0.7).astype(np.float16)
        address = f"http://img{one % 4}.example/{one}.png"
        images.append(EligibleImage(position, address, image_facts(one), text, vector))
    return known, images


def packed(pages: Sequence[int], size: int) -> list[list[int]]:
    """Pages in shards of a size."""
    return [list(pages[first : first + size]) for first in range(0, len(pages), size)]


def admitted(workspace: Workspace, packs: Sequence[Sequence[int]], config: MineConfig) -> list[Manifest]:
    """The pages in shards; a shard that was written before stays as it is."""
    found = []
    for pack in packs:
        miner = page_miner(config)
        key = digest("pages", str(list(pack)), str(miner is None))[:32]
        standing = workspace.manifest(PAGES_JOB, key)
        if standing is None:
            writer = ShardWriter(workspace, PAGES_JOB, key)
            for known, images in sorted((page(number) for number in pack), key=lambda one: one[0].page_id):
                if miner is not None:
                    mine_page(known, images, None, miner, config, writer)
                for image in images:
                    writer.row("eligible", _eligible_row(known, image, config))
            standing = writer.commit()
        found.append(standing)
    return found


def mined(
    path: Any, packs: Sequence[Sequence[int]], config: MineConfig, engine: Any = None, said: list[str] | None = None
) -> tuple[Session, list[dict[str, Any]]]:
    """The session of a run over pages, and all rows of `pairs` that it left, sorted. `said`: where its sentences go."""
    workspace = Workspace(str(path))
    session = Session(workspace, engine or PlainEngine())
    if said is not None:
        session.progress.say = said.append
    manifests = run_corpus(session, (), admitted(workspace, packs, config), config, AnnotateConfig())
    found = [row for one in manifests for row in rows(workspace, one, "pairs")]
    return session, sorted(found, key=lambda row: (row["query_image_id"], row["target_image_id"]))


def pairs_of(found: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """Their ordered pairs of images."""
    return {(row["query_image_id"], row["target_image_id"]) for row in found}
