"""A corpus as the job `mine_pairs.pages` leaves it: side tables `eligible` and `candidates`, features like real ones.

The features of a real run are repeated with noise of their own spectrum: a difference of two real vectors, scaled, is
added, so that the directions in which images vary stay the directions in which images vary. How often a real image is
repeated follows a power law, and so does on how many pages a made image stands, and how many images have a name in
their text. One image in five is one of four versions of a picture, on one page, told apart by a word of its file name;
one page in ten states the other language in which it exists.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.corpus.images import PAGES_JOB
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import batches, rows
from beam_jobs.workspace import Manifest, Workspace
from mining.mine import mine_page, site_pools
from mining.mine_config import MineConfig
from mining.miners.make import page_miner
from mining.places import EligibleImage, ImageFacts, PageRecord
from mining.search.vectors import hash_bits
from mining.sketches import SIZE, sketches
from schemas.protocols import Float32Array

#: Weight of the n-th real image: n to this power; pages on which an image stands: Zipf with this exponent.
_REPEATS, _PAGES = -0.7, 3.0
#: Length of the noise beside the real vector's: uniform in its logarithm.
_NOISE = (0.15, 1.2)
_TEXT = 384
_SITES = 1000
#: Names in texts and titles: the n-th is used for one n-th of what uses the first.
_NAMES = 250_000
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_EXTRACTED = "extract_pages"
#: What tells the four versions of a picture apart, one line a kind.
_VERSIONS = (
    ("red", "green", "blue", "yellow"),
    ("front", "back", "left", "right"),
    ("spring", "summer", "autumn", "winter"),
)
_VERSIONED = 5
_SYLLABLES = tuple(one + other for one in "bdfgklmnprstvz" for other in "aeiou")


@dataclass(frozen=True)
class Features:
    """Features of real images: `looks` float32 (n, s) of unit length, hashes uint64 (n), texts with their embeddings
    float32 (m, t) of unit length."""

    looks: Float32Array
    hashes: npt.NDArray[np.uint64]
    texts: tuple[str, ...]
    embeddings: Float32Array


def features_of_run(path: str) -> Features:
    """The features of the images that a run mined, each once. Raises ValueError where it has too few."""
    workspace = Workspace(path)
    found: dict[str, tuple[bytes, str]] = {}
    said: dict[str, Any] = {}
    for job in (PAGES_JOB, "mine_pairs"):
        for manifest in workspace.manifests(job, workspace.in_force(job)):
            for row in rows(workspace, manifest, "eligible", ["image_id", "sketch", "phash", "text", "embedding"]):
                found[row["image_id"]] = row["sketch"], row["phash"]
                if row["text"]:
                    said[row["text"]] = row["embedding"]
    if len(found) < 10 or len(said) < 10:
        raise ValueError(f"{path} mined {len(found)} images with {len(said)} texts: too few to make a corpus of")
    ordered, texts = [found[one] for one in sorted(found)], sorted(said)
    looks = np.stack([np.frombuffer(sketch, np.int8) for sketch, _ in ordered]).astype(np.float32)
    hashes = np.array([int(phash, 16) for _, phash in ordered], np.uint64)
    return Features(_unit(looks), hashes, tuple(texts), _unit(np.array([said[one] for one in texts], np.float32)))


def made_features(count: int = 1500) -> Features:
    """Features with the spectrum of real ones, where no run is at hand: variances fall with the rank of a direction, as
    those of ten crawled sites do, and vectors have a common mean."""
    dice = np.random.default_rng(1)

    def vectors(size: int) -> Float32Array:
        spread = np.arange(1, size + 1) ** -0.5
        basis = np.linalg.qr(dice.normal(size=(size, size)))[0]
        return _unit(((dice.normal(size=(count, size)) * spread + spread[0] * 0.5) @ basis.T).astype(np.float32))

    hashes = dice.integers(0, 1 << 64, count, np.uint64)
    return Features(vectors(SIZE), hashes, tuple(f"the text {one}" for one in range(count)), vectors(_TEXT))


@dataclass(frozen=True)
class MadeCorpus:
    """Manifests of the shards of pages and of what stands for their extraction, in one order."""

    extracted: tuple[Manifest, ...]
    pages: tuple[Manifest, ...]


@dataclass(frozen=True)
class MadePages:
    """Job `mine_pairs.pages` on made pages: their images are admitted as they are, `co_occurrence` mines each page."""

    workspace: Workspace
    config: MineConfig
    stage: str = PAGES_JOB

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """Rows of `eligible`, and of `candidates` if `co_occurrence` is among the miners."""
        made = self.workspace.manifests(_EXTRACTED, [shard.work])[0]
        miner = page_miner(self.config)
        pages: dict[str, tuple[PageRecord, list[EligibleImage]]] = {}
        for row in rows(self.workspace, made, "eligible") if miner is not None else ():
            page = PageRecord.from_row({**row, "url": row["page_url"], "title": row["page_title"]})
            pages.setdefault(page.page_id, (page, []))[1].append(_eligible(row))
        pools = site_pools(((page.site, images) for page, images in pages.values()), self.config)
        for page, images in pages.values():
            assert miner is not None
            mine_page(page, images, pools.get(page.site), miner, self.config, writer)
        for batch in batches(self.workspace, made.files.get("eligible", ()), rows=4096):
            writer.columns("eligible", pa.Table.from_batches([batch]))


def write_corpus(workspace: Workspace, real: Features, pages: int, images: int, pages_per_shard: int) -> list[str]:
    """Write the tables of all shards; their keys. Equal arguments give equal rows."""
    bases, dice = _bases(real, images), np.random.default_rng(3)
    shown = np.minimum(dice.zipf(_PAGES, images), max(1, pages // 10))
    places = np.repeat(np.arange(images), shown)
    on_page = dice.integers(0, pages, len(places))
    # Versions of a picture stand on one page, wherever else they stand.
    first = np.cumsum(shown) - shown
    versions = np.flatnonzero(_are_versions(np.arange(images)))
    on_page[first[versions]] = on_page[first[versions - versions % 4]]
    order = np.lexsort((dice.permutation(len(places)), on_page))
    places, on_page = places[order], on_page[order]
    keys = []
    for begin in range(0, pages, pages_per_shard):
        start, end = np.searchsorted(on_page, [begin, begin + pages_per_shard])
        key = hashlib.sha256(f"made {begin}".encode()).hexdigest()[:32]
        writer = ShardWriter(workspace, _EXTRACTED, key)
        for row in _rows(real, bases, on_page[start:end], places[start:end]):
            writer.row("eligible", row)
        for page in range(begin, min(begin + pages_per_shard, pages)):
            writer.row("pages", _page_row(page))
        keys.append(writer.commit().key)
    return keys


def mine_pages(session: Session, keys: list[str], config: MineConfig) -> MadeCorpus:
    """Run the job of single pages over what `write_corpus` wrote."""
    job = MadePages(session.workspace, config)
    extracted = session.workspace.manifests(_EXTRACTED, keys)
    mined = session.shards(job, [Shard(session.shard_key(job.stage, "made", one), one) for one in keys])
    return MadeCorpus(tuple(extracted), tuple(mined))


def made_images(
    real: Features, images: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint64], npt.NDArray[np.float16]]:
    """Sketches (n, s), hashes (n) and embeddings of texts (n, t) of a corpus' images, by their numbers."""
    bases = _bases(real, images)
    blocks = [np.arange(first, min(first + 8192, images)) for first in range(0, images, 8192)]
    looks, hashes, texts = zip(*(_noisy(real, bases[block], block) for block in blocks), strict=True)
    return np.concatenate(looks), np.concatenate(hashes), np.concatenate(texts)


def _bases(real: Features, images: int) -> npt.NDArray[np.int64]:
    """Of each image the real one that it is made of."""
    dice = np.random.default_rng(2)
    weights = np.arange(1, len(real.looks) + 1) ** _REPEATS
    bases = dice.permutation(len(real.looks))[dice.choice(len(real.looks), images, p=weights / weights.sum())]
    versions = np.flatnonzero(_are_versions(np.arange(images)))
    bases[versions] = bases[versions - versions % 4]
    return bases


def _are_versions(images: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return images // 4 % _VERSIONED == 0


def _address(site: str, image: int) -> str:
    """Where an image lies: versions of a picture differ in one word."""
    if image // 4 % _VERSIONED:
        return f"http://{site}/pictures/{_name(image)}.jpg".lower().replace(" ", "-")
    words = _VERSIONS[image // 4 % len(_VERSIONS)]
    return f"http://{site}/pictures/{_name(image // 4)}-{words[image % 4]}.jpg".lower().replace(" ", "-")


def _name(number: int) -> str:
    """A made name of two words."""
    digest = _hash("name", number)
    words = ("".join(_SYLLABLES[one % len(_SYLLABLES)] for one in digest[first : first + 3]) for first in (0, 3))
    return " ".join(word.capitalize() for word in words)


def _named(kind: str, number: int) -> str:
    """A name of which the n-th is used for one n-th of what uses the first."""
    share = int.from_bytes(_hash(kind, number)[:6], "big") / (1 << 48)
    return _name(int(_NAMES**share))


def _site(page: int) -> str:
    one, other = _hash("site", page // 20)[:2]
    return f"site{one * other % _SITES}.example"


def _page_address(page: int) -> str:
    return f"http://{_site(page)}/{page}.html"


def _page_row(page: int) -> dict[str, Any]:
    """A row of `pages`: the first two pages of twenty are one page in two languages."""
    twin = page - page % 20
    both = [{"language": "en", "url": _page_address(twin)}, {"language": "de", "url": _page_address(twin + 1)}]
    return {
        "page_id": _hash("page", page).hex()[:32],
        "url": _page_address(page),
        "payload_digest": _hash("page", page).hex(),
        "site": _site(page),
        "alternates": both if page % 20 < 2 else None,
    }


def _eligible(row: dict[str, Any]) -> EligibleImage:
    facts = ImageFacts(row["image_id"], row["width"], row["height"], int(row["phash"], 16), 0.0, row["sketch"])
    vector = row["embedding"]
    return EligibleImage(
        row["position"], row["url"], facts, row["text"], None if vector is None else np.asarray(vector, np.float32)
    )


def _rows(
    real: Features, bases: npt.NDArray[np.int64], pages: npt.NDArray[np.int64], images: npt.NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    """Rows of one shard, page by page; an image stands on a page once."""
    distinct, places = np.unique(images, return_inverse=True)
    looks, hashes, texts = _noisy(real, bases[distinct], distinct)
    told: set[tuple[int, int]] = set()
    on_page: Counter[int] = Counter()
    for page, image, place in zip(pages.tolist(), images.tolist(), places.tolist(), strict=True):
        if (page, image) in told:
            continue
        told.add((page, image))
        on_page[page] += 1
        # As on real pages, some four in ten images have a text that says something.
        text = int(bases[image] * 7 + image) % len(real.texts) if _hash("text", image)[0] < 102 else None
        yield {
            "page_id": _hash("page", page).hex()[:32],
            "page_url": _page_address(page),
            "site": _site(page),
            "image_id": _hash("image", image).hex(),
            "position": on_page[page] - 1,
            "url": _address(_site(page), image),
            "text": None if text is None else f"{real.texts[text]}, {_named('said', image)}",
            "embedding": None if text is None else texts[place],
            "sketch": looks[place].tobytes(),
            "phash": f"{hashes[place]:016x}",
            "width": 640 + image % 640,
            "height": 480,
            "label": None,
            "page_title": f"All of {_named('title', page)}",
            "language": "de" if page % 20 == 1 else "en",
            "crawl_date": _WHEN,
        }


def _noisy(
    real: Features, bases: npt.NDArray[np.int64], images: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint64], npt.NDArray[np.float16]]:
    """Sketches, hashes and embeddings of made images; they depend on the image's number alone."""
    seeds = np.array([int.from_bytes(_hash("noise", one)[:8], "little") for one in images.tolist()], np.uint64)
    uniform = (seeds >> np.uint64(40)).astype(np.float32) / (1 << 24)
    length = np.exp(np.log(_NOISE[0]) + uniform * np.log(_NOISE[1] / _NOISE[0]))[:, None]
    looks = sketches(real.looks[bases] + length * _differences(real.looks, seeds))
    said = (bases * 7 + images) % len(real.texts)
    texts = _unit(real.embeddings[said] + length * _differences(real.embeddings, seeds)).astype(np.float16)
    flipped = np.where(hash_bits(seeds * np.uint64(0x9E3779B97F4A7C15)) > 0, 1, 0) & (
        hash_bits(seeds * np.uint64(0xC2B2AE3D27D4EB4F)) > 0
    )
    # The longer the noise, the more bits of the hash change: none to a quarter of them.
    flipped &= np.arange(64) % 16 < np.rint(uniform * 16)[:, None]
    masks = np.packbits(flipped.astype(np.uint8), axis=1).view(">u8")[:, 0].astype(np.uint64)
    return looks, real.hashes[bases] ^ masks, texts


def _differences(vectors: Float32Array, seeds: npt.NDArray[np.uint64]) -> Float32Array:
    """Differences of two sums of real vectors, of unit length: noise with the covariance of what is real."""
    found = np.zeros((len(seeds), vectors.shape[1]), np.float32)
    for turn in range(4):
        mixed = (seeds ^ np.uint64(turn + 1)) * np.uint64(0x9E3779B97F4A7C15 + 2 * turn)
        one, other = (
            (mixed >> np.uint64(33)) % np.uint64(len(vectors)),
            (mixed >> np.uint64(7)) % np.uint64(len(vectors)),
        )
        found += vectors[one] - vectors[other]
    return _unit(found)


def _unit(vectors: Float32Array) -> Float32Array:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _hash(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()
